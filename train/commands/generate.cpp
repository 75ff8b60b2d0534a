#include "train/commands/generate.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"
#include "train/commands/device.h"
#include "train/commands/input.h"
#include "train/commands/open_model.h"
#include "train/generate/generate.h"
#include "train/generate/state_file.h"
#include "train/generate/text_stream.h"

namespace longhaul::cli {
namespace {

void check_search(const GenerateOptions& options) {
  const bool draws = options.temperature != 1 || options.top_k != 0 || options.top_p != 1;
  check<ConfigError>(options.beams == 1 || !draws,
                     "[generate] --beams {} searches for the most likely text and draws nothing\n"
                     "  hint: leave out --temperature, --top-k and --top-p, or --beams",
                     options.beams);
}

}  // namespace

int run_generate(const GenerateOptions& options, Console& console) {
  check_search(options);
  const Device device = prepare_device(options.device);
  const OpenedModel opened = open_model(options.model, device);
  const std::string prompt = options.prompt_file.empty() ? options.prompt : read_input(options.prompt_file);

  train::GenerateRequest request;
  const data::ExtendedTokenizer& tokenizer = opened.objective->tokenizer();
  const bool pair = opened.objective->info().sides == data::Sides::kEncoderDecoder;
  std::optional<train::GenerationState> before;
  std::string weights;
  if (!options.state.empty()) {
    const checkpoint::Manifest manifest = checkpoint::read_manifest(opened.folder);
    const auto* file = manifest.find(checkpoint::file_name(checkpoint::Section::kModel));
    check<CheckpointError>(file != nullptr, "[generate] {} lists no weights", opened.folder.string());
    weights = file->sha256;
    if (io::exists(options.state)) before = train::read_generation_state(options.state, weights);
    request.before = before ? &*before : nullptr;
    request.keep_state = true;
  }
  if (pair) {
    request.source = tokenizer.encode(prompt);
    request.source.push_back(tokenizer.special().end);
    request.prompt = {opened.objective->start_of_target()};
  } else {
    request.prompt = tokenizer.encode(prompt);
    if (request.prompt.empty() && !before) request.prompt = train::start_tokens(tokenizer);
  }
  request.max_new = options.max_new;
  request.sampling = {.temperature = options.temperature, .top_k = options.top_k, .top_p = options.top_p};
  request.beams = options.beams;
  request.seed = static_cast<uint64_t>(options.seed);
  request.ids = tokenizer.vocabulary_size();
  request.end = tokenizer.special().end;
  request.compute = opened.compute;

  train::TextStream stream(tokenizer, request.prompt);
  std::string text;
  const auto give = [&](const std::string& piece) {
    text += piece;
    if (!options.json && !piece.empty()) console.stream(piece);
  };
  if (!options.json && !pair) console.stream(prompt);  // a target is no continuation of its source
  const train::Generation made =
      train::generate(*opened.model, request, [&](int32_t token) { give(stream.add(token)); });
  give(stream.finish());
  if (request.keep_state) train::write_generation_state(options.state, made.state, weights);
  if (!options.json) {
    console.stream("\n");
    return 0;
  }
  nlohmann::ordered_json json;
  json["prompt"] = prompt;
  json["text"] = text;
  json["tokens"] = made.tokens;
  json["ended"] = made.ended;
  json["log_probability"] = made.log_probability;
  json["prompt_tokens"] = pair ? request.source.size() : request.prompt.size();
  json["prefill_seconds"] = made.prefill_seconds;
  json["seconds"] = made.seconds;
  json["tokens_per_second"] = made.tokens_per_second();
  // Bytes that are no UTF-8 cannot stand in JSON: they become U+FFFD here; `tokens` has them exactly.
  console.result(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  return 0;
}

}  // namespace longhaul::cli
