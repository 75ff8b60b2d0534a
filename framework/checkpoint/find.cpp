#include <algorithm>

#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/folders.h"

namespace longhaul::checkpoint {
namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

std::optional<FoundCheckpoint> find_newest_sound(const io::Path& checkpoints, bool strict) {
  std::vector<Skipped> skipped;
  for (const FolderEntry& entry : candidates_of(checkpoints)) {
    const io::Path folder = checkpoints / entry.name;
    const std::vector<Damage> damage = verify(folder);
    if (damage.empty()) {
      return FoundCheckpoint{folder, entry.parsed.step, read_manifest(folder), std::move(skipped)};
    }
    skipped.push_back({entry.parsed.step, first_line(damage.front().message)});
    check<CheckpointError>(!strict,
                           "[resume] the newest checkpoint, {}, is damaged and may not be passed over\n  {}\n  hint: "
                           "without strict resume the newest sound one is used",
                           folder.string(), skipped.back().reason);
  }
  if (skipped.empty()) return std::nullopt;
  std::string reasons;
  for (const Skipped& one : skipped) reasons += fmt::format("\n  step {}: {}", one.step, one.reason);
  fail<CheckpointError>(
      "[resume] no checkpoint in {} is sound{}\n  hint: start a new run in another folder, or bring a copy back",
      checkpoints.string(), reasons);
}

io::Path resolve_model(const io::Path& model) {
  const io::Kind kind = io::info_followed(model).kind;
  check<CheckpointError>(kind != io::Kind::kMissing, "[model] {} does not exist", model.string());
  check<CheckpointError>(
      kind == io::Kind::kFolder,
      "[model] {} is not a folder\n  hint: give a run folder, a checkpoint folder or a folder made by import",
      model.string());
  if (io::exists(model / kManifestName)) return model;
  for (const io::Path& checkpoints : {model / "checkpoints", model}) {
    if (const auto found = find_newest_sound(checkpoints)) return found->folder;
  }
  fail<CheckpointError>(
      "[model] {} holds neither {} nor a checkpoint\n  hint: give a run folder, a checkpoint folder or a folder made "
      "by import",
      model.string(), kManifestName);
}

}  // namespace longhaul::checkpoint
