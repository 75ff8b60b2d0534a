#include "train/commands/open_model.h"

#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"
#include "train/config/load.h"
#include "train/trainer/corpora.h"
#include "train/trainer/from_config.h"
#include "train/trainer/stages.h"

namespace longhaul::cli {

OpenedModel open_model(const std::string& path, Device device, const std::vector<std::string>& set) {
  OpenedModel out;
  out.folder = checkpoint::resolve_model(path);
  out.step = checkpoint::read_manifest(out.folder).step;
  const std::string config_file = (out.folder / "config.yaml").string();
  try {
    out.config = config::load_config(config_file, set, config::Purpose::kModel).config;
  } catch (const ConfigError& error) {
    if (!set.empty()) throw;
    // The user did not write this file: it is a model that this build cannot open, not a mistake in a configuration.
    fail<CheckpointError>("[model] {} cannot be opened by this build: {}", out.folder.string(), error.what());
  }
  out.objective = train::make_objective(out.config, data::load_tokenizer_folder(out.folder.string()));
  const auto stages = train::stages_of(out.config);
  // A checkpoint after the last step of a stage belongs to that stage.
  const train::Stage& stage = stages[static_cast<size_t>(train::stage_at(stages, std::max<int64_t>(0, out.step - 1)))];
  out.sequence_length = stage.sequence_length;
  out.compute = device.kind == DeviceKind::kReference ? DType::kF32 : train::compute_dtype(out.config);
  const models::ModelSpec spec = train::model_spec(out.config, out.objective->tokenizer().vocabulary_size(), stage.options);
  out.model = models::make_any_model(spec, 0, device);
  std::vector<checkpoint::NamedTensor> tensors;
  for (const auto& parameter : out.model->parameters()) {
    tensors.push_back({parameter.name, parameter.variable.value()});
  }
  checkpoint::load_weights(out.folder, tensors);
  for (const auto& parameter : out.model->parameters()) parameter.variable.changed();
  return out;
}

std::shared_ptr<const data::Tokenizer> open_tokenizer(const std::string& path) {
  const auto holds = [&path](const char* name) { return io::exists(io::Path(path) / name); };
  if (!holds("checkpoints") || holds("tokenizer.json")) return data::load_any_tokenizer(path);
  return data::load_any_tokenizer(checkpoint::resolve_model(path).string());
}

}  // namespace longhaul::cli
