#include "train/commands/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "framework/base/error.h"
#include "framework/base/units.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/diff.h"
#include "framework/checkpoint/folders.h"
#include "framework/checkpoint/run_lock.h"

namespace longhaul::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace ck = longhaul::checkpoint;

std::string dumped(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

io::Path checkpoints_of(const std::string& run) {
  const io::Path folder = io::Path(run) / "checkpoints";
  check<CheckpointError>(io::info_followed(run).kind == io::Kind::kFolder,
                         "[checkpoint] {} is not a run folder: it does not exist", run);
  check<CheckpointError>(io::info_followed(folder).kind == io::Kind::kFolder,
                         "[checkpoint] {} is not a run folder: it holds no folder \"checkpoints\"", run);
  return folder;
}

// The step of the best checkpoint, which rotation keeps: what the newest checkpoint that can be read has counted.
std::optional<int64_t> best_step(const io::Path& checkpoints) {
  std::vector<int64_t> steps = ck::steps_of(checkpoints);
  std::ranges::reverse(steps);
  for (const int64_t step : steps) {
    const io::Path path = checkpoints / ck::folder_name(step) / "state.json";
    if (!io::exists(path)) continue;
    const Json json = Json::parse(io::read_file(path), nullptr, false);
    if (!json.is_object()) continue;
    const Json best = json.value(Json::json_pointer("/parts/counters/best_step"), Json());
    if (!best.is_number_integer() || best.get<int64_t>() <= 0) return std::nullopt;
    return best.get<int64_t>();
  }
  return std::nullopt;
}

uint64_t bytes_of(const ck::Manifest& manifest) {
  uint64_t bytes = 0;
  for (const ck::ManifestFile& file : manifest.files) bytes += file.size;
  return bytes;
}

size_t tensors_of(const ck::Manifest& manifest) {
  size_t tensors = 0;
  for (const ck::ManifestFile& file : manifest.files) tensors += file.tensors.size();
  return tensors;
}

int list(const CheckpointOptions& options, Console& console) {
  const io::Path checkpoints = checkpoints_of(options.run);
  const std::optional<int64_t> best = best_step(checkpoints);
  Json rows = Json::array();
  std::string text =
      fmt::format("{:<14}  {:>10}  {:>7}  {:>12}  {}\n", "checkpoint", "size", "tensors", "samples", "state");
  for (const int64_t step : ck::steps_of(checkpoints)) {
    const std::string name = ck::folder_name(step);
    Json row = {{"step", step}, {"folder", (checkpoints / name).string()}, {"best", best == step}};
    try {
      const ck::Manifest manifest = ck::read_manifest(checkpoints / name);
      row.update({{"manifest", "sound"},
                  {"bytes", bytes_of(manifest)},
                  {"tensors", tensors_of(manifest)},
                  {"cursor", manifest.cursor}});
      text += fmt::format("{:<14}  {:>10}  {:>7}  {:>12}  {}\n", name,
                          units::approximate_bytes(static_cast<double>(bytes_of(manifest))), tensors_of(manifest),
                          manifest.cursor, best == step ? "best" : "-");
    } catch (const Error& error) {
      row.update({{"manifest", "damaged"}, {"reason", first_line(error.what())}});
      text += fmt::format("{:<14}  {:>10}  {:>7}  {:>12}  {}\n", name, "-", "-", "-", first_line(error.what()));
    }
    rows.push_back(std::move(row));
  }
  if (options.json) {
    console.result(dumped({{"run", options.run}, {"checkpoints", std::move(rows)}}));
  } else if (rows.empty()) {
    console.result(fmt::format("{} holds no checkpoint yet", options.run));
  } else {
    text.pop_back();  // result() ends the line
    console.result(text);
    console.note("hashes are checked by: longhaul checkpoint verify " + options.run);
  }
  return 0;
}

// The folders that verify is asked about: the one given, or all checkpoints of a run.
std::vector<io::Path> folders_to_verify(const std::string& run) {
  if (io::exists(io::Path(run) / ck::kManifestName) || ck::step_of(io::Path(run).filename().string())) return {run};
  const io::Path checkpoints = checkpoints_of(run);
  std::vector<io::Path> out;
  for (const int64_t step : ck::steps_of(checkpoints)) out.push_back(checkpoints / ck::folder_name(step));
  check<CheckpointError>(!out.empty(), "[checkpoint] {} holds no checkpoint", checkpoints.string());
  return out;
}

int verify(const CheckpointOptions& options, Console& console) {
  bool sound = true;
  Json rows = Json::array();
  std::string text;
  for (const io::Path& folder : folders_to_verify(options.run)) {
    const std::vector<ck::Damage> damage = ck::verify(folder);
    Json found = Json::array();
    for (const ck::Damage& one : damage)
      found.push_back({{"file", one.file}, {"tensor", one.tensor}, {"message", one.message}});
    rows.push_back({{"folder", folder.string()}, {"sound", damage.empty()}, {"damage", std::move(found)}});
    sound = sound && damage.empty();
    if (damage.empty()) {
      const ck::Manifest manifest = ck::read_manifest(folder);
      text += fmt::format("{}: sound ({} files, {} tensors, {})\n", folder.string(), manifest.files.size(),
                          tensors_of(manifest), units::approximate_bytes(static_cast<double>(bytes_of(manifest))));
    } else {
      text += fmt::format("{}: DAMAGED\n", folder.string());
      for (const ck::Damage& one : damage) text += fmt::format("  {}\n", first_line(one.message));
    }
  }
  text.pop_back();
  console.result(options.json ? dumped({{"sound", sound}, {"checkpoints", std::move(rows)}}) : text);
  return sound ? 0 : static_cast<int>(ErrorKind::kCheckpoint);
}

std::pair<io::Path, io::Path> folders_to_compare(const CheckpointOptions& options) {
  if (!options.other.empty()) return {ck::resolve_model(options.run), ck::resolve_model(options.other)};
  const io::Path checkpoints = checkpoints_of(options.run);
  const std::vector<int64_t> steps = ck::steps_of(checkpoints);
  check<CheckpointError>(
      steps.size() >= 2,
      "[checkpoint] {} holds {} checkpoint{}, two are needed to compare\n  hint: name the second one",
      checkpoints.string(), steps.size(), steps.size() == 1 ? "" : "s");
  return {checkpoints / ck::folder_name(steps[steps.size() - 2]), checkpoints / ck::folder_name(steps.back())};
}

int diff(const CheckpointOptions& options, Console& console) {
  constexpr size_t kMostLines = 20;  // for people; --json lists all
  const auto [left, right] = folders_to_compare(options);
  std::vector<ck::Difference> found = ck::differences(left, right);
  // What a clock measured differs between equal runs.
  std::erase_if(found,
                [](const ck::Difference& one) { return one.file == "state.json" && one.name.starts_with("clock."); });
  if (options.json) {
    Json rows = Json::array();
    for (const ck::Difference& one : found)
      rows.push_back({{"file", one.file}, {"name", one.name}, {"what", one.what}});
    console.result(dumped({{"first", left.string()},
                           {"second", right.string()},
                           {"equal", found.empty()},
                           {"differences", std::move(rows)}}));
  } else if (found.empty()) {
    console.result(fmt::format("{} and {} are equal", left.string(), right.string()));
  } else {
    std::string text = fmt::format("{} and {} differ in {} place{}", left.string(), right.string(), found.size(),
                                   found.size() == 1 ? "" : "s");
    for (size_t i = 0; i < std::min(found.size(), kMostLines); ++i) {
      text +=
          fmt::format("\n  {}{}: {}", found[i].file, found[i].name.empty() ? "" : " " + found[i].name, found[i].what);
    }
    if (found.size() > kMostLines) text += fmt::format("\n  and {} more; --json lists all", found.size() - kMostLines);
    console.result(text);
  }
  return found.empty() ? 0 : 1;
}

int prune(const CheckpointOptions& options, Console& console) {
  const io::Path checkpoints = checkpoints_of(options.run);
  std::optional<ck::RunLock> lock;
  if (!options.dry_run) lock.emplace(options.run);
  if (!options.dry_run) ck::remove_leftovers(checkpoints);
  ck::Retention retention{.keep = static_cast<int>(std::min<int64_t>(options.keep, INT32_MAX)), .pinned = {}};
  if (const auto best = best_step(checkpoints)) retention.pinned.push_back(*best);
  std::vector<int64_t> removed;
  if (const auto newest = ck::find_newest_sound(checkpoints)) {
    removed = options.dry_run ? ck::steps_to_remove(checkpoints, newest->step, retention)
                              : ck::rotate(checkpoints, newest->step, retention);
  }
  const std::vector<int64_t> there = ck::steps_of(checkpoints);
  std::vector<int64_t> kept;
  std::ranges::set_difference(there, removed, std::back_inserter(kept));
  if (options.json) {
    console.result(dumped({{"run", options.run}, {"dry_run", options.dry_run}, {"removed", removed}, {"kept", kept}}));
    return 0;
  }
  std::string text;
  for (const int64_t step : removed)
    text += fmt::format("{} {}\n", options.dry_run ? "would remove" : "removed", ck::folder_name(step));
  console.result(text + fmt::format("{} checkpoint{} {}", kept.size(), kept.size() == 1 ? "" : "s",
                                    options.dry_run ? "would stay" : "stay"));
  return 0;
}

}  // namespace

int run_checkpoint(const CheckpointOptions& options, Console& console) {
  switch (options.action) {
    case CheckpointOptions::Action::kList:
      return list(options, console);
    case CheckpointOptions::Action::kVerify:
      return verify(options, console);
    case CheckpointOptions::Action::kDiff:
      return diff(options, console);
    case CheckpointOptions::Action::kPrune:
      break;
  }
  return prune(options, console);
}

}  // namespace longhaul::cli
