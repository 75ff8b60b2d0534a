#include "framework/checkpoint/folders.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>

#include "framework/base/error.h"

namespace longhaul::checkpoint {
namespace {

constexpr const char* kTemporarySuffix = ".tmp-";
constexpr const char* kDiscardedSuffix = ".del-";

bool manifest_holds(const io::Path& folder) {
  try {
    read_manifest(folder);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::string folder_name(int64_t step) { return fmt::format("step-{:08}", step); }

std::optional<ParsedName> parse_name(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  ParsedName out{FolderKind::kCommitted, 0};
  const char* first = name.data() + kPrefix.size();
  const char* last = name.data() + name.size();
  const auto [end, status] = std::from_chars(first, last, out.step);
  if (status != std::errc() || out.step < 0) return std::nullopt;
  // Only the exact form counts, so that two names never stand for one step.
  if (folder_name(out.step) != std::string_view(name.data(), static_cast<size_t>(end - name.data())))
    return std::nullopt;
  const std::string_view rest(end, static_cast<size_t>(last - end));
  if (rest.starts_with(kTemporarySuffix))
    out.kind = FolderKind::kTemporary;
  else if (rest.starts_with(kDiscardedSuffix))
    out.kind = FolderKind::kDiscarded;
  else if (!rest.empty())
    return std::nullopt;
  return out;
}

std::optional<int64_t> step_of(const std::string& name) {
  const auto parsed = parse_name(name);
  if (!parsed || parsed->kind != FolderKind::kCommitted) return std::nullopt;
  return parsed->step;
}

std::vector<FolderEntry> entries_of(const io::Path& checkpoints) {
  std::vector<FolderEntry> out;
  if (io::info_followed(checkpoints).kind != io::Kind::kFolder) return out;
  for (const std::string& name : io::list(checkpoints)) {
    if (const auto parsed = parse_name(name)) out.push_back({name, *parsed});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const FolderEntry& a, const FolderEntry& b) { return a.parsed.step > b.parsed.step; });
  return out;
}

std::vector<FolderEntry> candidates_of(const io::Path& checkpoints) {
  std::vector<FolderEntry> out = entries_of(checkpoints);
  int64_t newest = -1;
  for (const FolderEntry& entry : out) {
    if (entry.parsed.kind == FolderKind::kCommitted) newest = std::max(newest, entry.parsed.step);
  }
  std::erase_if(out, [&](const FolderEntry& entry) {
    return entry.parsed.kind == FolderKind::kTemporary ||
           (entry.parsed.kind == FolderKind::kDiscarded && entry.parsed.step <= newest);
  });
  return out;
}

std::vector<int64_t> steps_of(const io::Path& checkpoints) {
  std::vector<int64_t> out;
  for (const FolderEntry& entry : entries_of(checkpoints)) {
    if (entry.parsed.kind == FolderKind::kCommitted) out.push_back(entry.parsed.step);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::string unique_name(int64_t step, const char* suffix) {
  static std::atomic<int64_t> count{0};
  return fmt::format("{}{}{}-{}", folder_name(step), suffix, ::getpid(), ++count);
}

void remove_leftovers(const io::Path& checkpoints) {
  for (const FolderEntry& entry : candidates_of(checkpoints)) {
    if (entry.parsed.kind != FolderKind::kDiscarded) continue;
    const io::Path committed = checkpoints / folder_name(entry.parsed.step);
    if (io::exists(committed)) continue;
    io::rename(checkpoints / entry.name, committed);
    io::sync_folder(checkpoints);
  }
  for (const FolderEntry& entry : entries_of(checkpoints)) {
    if (entry.parsed.kind != FolderKind::kCommitted) io::remove_all(checkpoints / entry.name);
  }
}

std::vector<int64_t> steps_to_remove(const io::Path& checkpoints, int64_t saved, const Retention& retention) {
  const auto pinned = [&](int64_t step) {
    return std::find(retention.pinned.begin(), retention.pinned.end(), step) != retention.pinned.end();
  };
  int kept = 1;  // the one just saved, whatever else is there
  std::vector<int64_t> out;
  for (const FolderEntry& entry : entries_of(checkpoints)) {
    const int64_t step = entry.parsed.step;
    if (entry.parsed.kind != FolderKind::kCommitted || step >= saved || pinned(step)) continue;
    // A folder without a sound manifest is of no use to a resume, so it takes no sound one's place.
    if (kept < retention.keep)
      kept += manifest_holds(checkpoints / entry.name) ? 1 : 0;
    else
      out.push_back(step);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<int64_t> rotate(const io::Path& checkpoints, int64_t saved, const Retention& retention) {
  const std::vector<int64_t> going = steps_to_remove(checkpoints, saved, retention);
  for (const int64_t step : going) {
    io::rename(checkpoints / folder_name(step), checkpoints / unique_name(step, kDiscardedSuffix));
  }
  if (!going.empty()) io::sync_folder(checkpoints);
  for (const FolderEntry& entry : entries_of(checkpoints)) {
    if (entry.parsed.kind == FolderKind::kDiscarded) io::remove_all(checkpoints / entry.name);
  }
  return going;
}

}  // namespace longhaul::checkpoint
