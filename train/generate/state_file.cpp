#include "train/generate/state_file.h"

#include "framework/base/error.h"
#include "framework/base/units.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::train {
namespace {

constexpr const char* kFormat = "longhaul generation state";

std::string hash_of(const GenerationState& state, const std::string& model) {
  checkpoint::CapturedState captured;
  for (const auto& [name, tensor] : state.memory)
    captured.tensors[checkpoint::Section::kState].push_back({name, tensor});
  captured.scalars = model + " " + std::to_string(state.last);
  return captured.hash();
}

}  // namespace

void write_generation_state(const io::Path& path, const GenerationState& state, const std::string& model) {
  std::vector<checkpoint::NamedTensor> tensors;
  for (const auto& [name, tensor] : state.memory) tensors.push_back({name, tensor});
  const io::Path temporary = path.string() + ".tmp";
  io::remove_all(temporary);
  checkpoint::write_safetensors(temporary, tensors,
                                {{"format", kFormat},
                                 {"model", model},
                                 {"last", std::to_string(state.last)},
                                 {"sha256", hash_of(state, model)}});
  io::rename(temporary, path);
  io::sync_folder(path.has_parent_path() ? path.parent_path() : io::Path("."));
}

GenerationState read_generation_state(const io::Path& path, const std::string& model) {
  const checkpoint::SafetensorsReader reader(path);
  const auto& metadata = reader.header().metadata;
  const auto text = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  check<CheckpointError>(text("format") == kFormat, "[generate] {} is no state of a generation\n  hint: `--state FILE` writes one",
                         path.string());
  check<CheckpointError>(text("model") == model,
                         "[generate] {} belongs to a model with the hash {}, this one has {}\n"
                         "  hint: the weights are others than those that read the text",
                         path.string(), text("model"), model);
  GenerationState state;
  for (const auto& entry : reader.header().entries) state.memory[entry.name] = reader.read(entry);
  const auto last = units::parse_integer(text("last"));
  state.last = static_cast<int32_t>(last.value_or(-1));
  check<CheckpointError>(last && *last == state.last && text("sha256") == hash_of(state, model),
                         "[generate] {} does not match its own hash: it is damaged", path.string());
  return state;
}

}  // namespace longhaul::train
