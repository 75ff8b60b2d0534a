#include "train/commands/exchange.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/safetensors.h"
#include "models/exchange/families.h"
#include "train/config/load.h"
#include "train/trainer/corpora.h"
#include "train/trainer/from_config.h"

namespace longhaul::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace exchange = models::exchange;

std::string dumped(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

}  // namespace

int run_import(const ImportOptions& options, Console& console) {
  const exchange::ImportReport report =
      exchange::import_model(options.source, options.out, exchange::registered_families(), options.positions);
  if (options.json) {
    console.result(dumped({{"model", options.out},
                           {"family", report.family},
                           {"tensors", report.tensors},
                           {"parameters", report.parameters},
                           {"buffers", report.buffers}}));
  } else {
    console.result(fmt::format("{}: family {}, {} parameters in {} tensors", options.out, report.family,
                               report.parameters, report.tensors));
  }
  return 0;
}

namespace {

/// Rows of the token table, which adaptive embeddings cut into several.
int64_t vocabulary_rows(const checkpoint::SafetensorsReader& weights) {
  if (!weights.find("embedding.tables.0")) return weights.entry("token_embedding.weight").shape.at(0);
  int64_t rows = 0;
  for (int i = 0;; ++i) {
    const auto* table = weights.find(fmt::format("embedding.tables.{}", i));
    if (!table) return rows;
    rows += table->shape.at(0);
  }
}

}  // namespace

namespace {

/// What a public configuration says of the tokenizer's ids.
std::map<std::string, int64_t> ids_of(const config::Config& config, const io::Path& model) {
  const auto objective = train::make_objective(config, data::load_tokenizer_folder(model.string()));
  const data::SpecialIds special = objective->tokenizer().special();
  std::map<std::string, int64_t> out = {{"bos_token_id", special.begin}, {"eos_token_id", special.end}, {"pad_token_id", special.pad}, {"sep_token_id", special.end}};
  if (config.model.options->body.form == models::Form::kEncoderDecoder) out["decoder_start_token_id"] = objective->start_of_target();
  std::erase_if(out, [](const auto& id) { return id.second < 0; });
  return out;
}

}  // namespace

int run_export(const ExportOptions& options, Console& console) {
  const io::Path model = checkpoint::resolve_model(options.model);
  // A folder as it was imported says everything in public.json, a checkpoint in its configuration.
  std::optional<models::ModelSpec> trained;
  std::map<std::string, int64_t> ids;
  if (checkpoint::read_manifest(model).step > 0 || !io::exists(model / "public.json")) {
    const config::Config config = config::load_config((model / "config.yaml").string(), {}, config::Purpose::kModel).config;
    const checkpoint::SafetensorsReader weights(model / checkpoint::file_name(checkpoint::Section::kModel));
    trained = train::model_spec(config, vocabulary_rows(weights));
    if (!io::exists(model / "public.json")) ids = ids_of(config, model);
  }
  exchange::export_model(model, options.out, trained, exchange::registered_families(), ids);
  console.result(options.json ? dumped({{"model", model.string()}, {"out", options.out}})
                              : fmt::format("{} is written to {}", model.string(), options.out));
  return 0;
}

}  // namespace longhaul::cli
