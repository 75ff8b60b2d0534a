#include <algorithm>

#include "framework/base/error.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/folders.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

// Fills the folder and returns its manifest, which is written last.
Manifest write_folder(const io::Path& folder, const CheckpointContent& content) {
  Manifest manifest;
  manifest.step = content.step;
  manifest.cursor = content.cursor;
  manifest.world_size = content.world_size;
  manifest.tokenizer_hash = content.tokenizer_hash;
  manifest.data = content.data_hashes;
  if (const auto config = content.files.find("config.yaml"); config != content.files.end()) {
    manifest.config_hash = sha256_hex(config->second);
  }
  // Where a file is found among those of another step or run, these tell.
  const std::map<std::string, std::string> metadata = {
      {"format", "longhaul"}, {"step", std::to_string(content.step)}, {"config", manifest.config_hash}};
  for (const auto& [section, tensors] : content.state.tensors) {
    manifest.files.push_back(write_safetensors(folder / file_name(section), tensors, metadata));
  }
  std::map<std::string, std::string> files = content.files;
  files["state.json"] = content.state.scalars;
  for (const auto& [name, text] : files) {
    io::write_new_file(folder / name, text);
    manifest.files.push_back(
        {.name = name, .size = text.size(), .sha256 = sha256_hex(text), .header_sha256 = {}, .tensors = {}});
  }
  std::sort(manifest.files.begin(), manifest.files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  io::write_new_file(folder / kManifestName, manifest.text());
  io::sync_folder(folder);
  return manifest;
}

// Renames the finished folder to its final name. One that stands there already (a damaged one that a resume went
// behind, or the same step saved twice) steps aside first; candidates_of still finds it until the second rename.
void commit(const io::Path& checkpoints, const io::Path& temporary, int64_t step) {
  const io::Path committed = checkpoints / folder_name(step);
  if (io::exists(committed)) io::rename(committed, checkpoints / unique_name(step, ".del-"));
  io::rename(temporary, committed);
  io::sync_folder(checkpoints);
}

// Leftovers cost space, not soundness: a failure to remove them may not hide the error that made them.
template <typename Action>
void quietly(Action&& action) {
  try {
    action();
  } catch (const std::exception&) {
  }
}

}  // namespace

SaveReport save_checkpoint(const io::Path& checkpoints, const CheckpointContent& content, const Retention& retention) {
  check<ConfigError>(retention.keep >= 1, "[checkpoint] keep = {}: at least 1 checkpoint must stay", retention.keep);
  const io::Path committed = checkpoints / folder_name(content.step);
  SaveReport report{.folder = committed, .bytes = 0, .removed = {}, .warning = {}};
  io::Path temporary;
  try {
    io::make_folders(checkpoints);
    remove_leftovers(checkpoints);
    temporary = checkpoints / unique_name(content.step, ".tmp-");
    io::make_folder(temporary);
    io::sync_folder(checkpoints);
    for (const ManifestFile& file : write_folder(temporary, content).files) report.bytes += file.size;
    commit(checkpoints, temporary, content.step);
  } catch (const IoError& error) {
    quietly([&] {
      if (!temporary.empty()) io::remove_all(temporary);
    });
    throw IoError(fmt::format("[checkpoint] step {} was not saved; older checkpoints are untouched\n  {}", content.step,
                              error.what()),
                  error.code());
  } catch (...) {
    quietly([&] {
      if (!temporary.empty()) io::remove_all(temporary);
    });
    throw;
  }
  const std::vector<Damage> damage = verify(committed);
  check<CheckpointError>(damage.empty(),
                         "[checkpoint] step {} does not read back as it was written; older checkpoints are untouched\n "
                         " {}\n  hint: check the disk (dmesg, smartctl) and the memory of this machine",
                         content.step, damage.empty() ? "" : damage.front().message);
  try {
    report.removed = rotate(checkpoints, content.step, retention);
  } catch (const IoError& error) {
    report.warning = fmt::format("[checkpoint] step {} is saved, but older checkpoints could not be removed: {}",
                                 content.step, error.what());
  }
  return report;
}

void require_space(const io::Path& checkpoints, uint64_t bytes, int keep) {
  const uint64_t needed = bytes * (static_cast<uint64_t>(keep) + 1);
  const uint64_t free = io::free_bytes(checkpoints);
  if (free >= needed) return;
  throw IoError(
      fmt::format("[checkpoint] {} has {} bytes free, {} checkpoints of {} bytes need {}\n"
                  "  hint: free space there, choose another folder with --run, or lower train.checkpoint.keep",
                  checkpoints.string(), free, keep + 1, bytes, needed),
      ENOSPC);
}

}  // namespace longhaul::checkpoint
