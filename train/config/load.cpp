#include "train/config/load.h"

#include <fmt/format.h>

#include <filesystem>

#include "train/config/flatten.h"
#include "train/config/reader.h"
#include "train/config/schema.h"
#include "train/config/sources.h"

namespace longhaul::config {
namespace {

// The place a finding points at: the key, else the nearest section around it, else the file.
Mark place_of(std::string key, const ReadResult& read, const Mark& file) {
  while (true) {
    if (const auto at = read.origins.find(key); at != read.origins.end()) return at->second;
    const size_t dot = key.rfind('.');
    if (dot == std::string::npos) return file;
    key.resize(dot);
  }
}

// A conflict of values of which one could not be read is no news: the wrong one is reported already.
bool follows_from(const Finding& finding, const std::set<std::string>& wrong) {
  for (const std::string& key : wrong) {
    if (finding.key == key || finding.what.find(key) != std::string::npos || finding.key.starts_with(key + ".") ||
        finding.key.starts_with(key + "[")) {
      return true;
    }
  }
  return false;
}

void report_findings(const Config& config, const ReadResult& read, const Mark& file, Purpose purpose, Problems& problems) {
  std::vector<Finding> findings = check_config(config);
  if (purpose == Purpose::kModel) std::erase_if(findings, [](const Finding& finding) { return finding.missing; });
  if (findings.empty()) return;
  const std::vector<FlatValue> values = flatten(config);
  for (const Finding& finding : findings) {
    if (follows_from(finding, read.wrong) || (finding.only_given && !read.origins.contains(finding.key))) continue;
    std::string what = finding.key + " ";
    if (!finding.missing) {
      for (const FlatValue& value : values) {
        if (value.key != finding.key) continue;
        what = fmt::format("{} = {}{}: ", value.key, value.value, read.origins.contains(value.key) ? "" : " (default)");
      }
    }
    problems.add(place_of(finding.key, read, file), what + finding.what, finding.key);
  }
}

// `what`: the texts as a message names them.
Loaded load_merged(const Merged& merged, const std::string& what, const std::string& name, Purpose purpose, Problems& problems) {
  if (merged.incomplete) problems.raise(what);
  Loaded loaded;
  const ReadResult read = read_config(merged.root, loaded.config, problems);
  if (loaded.config.run.name.empty()) loaded.config.run.name = name;
  complete(loaded.config, read.origins.contains("memory.reversible"));
  report_findings(loaded.config, read, {merged.file}, purpose, problems);
  problems.raise(what);
  loaded.origins = read.origins;
  loaded.files = merged.files;
  return loaded;
}

}  // namespace

std::string Loaded::origin(const std::string& key) const {
  const auto at = origins.find(key);
  if (at == origins.end()) return "default";
  const Mark& mark = at->second;
  if (mark.line == 0 || !mark.source->file) return mark.source ? mark.source->name : "default";
  return fmt::format("{}:{}", mark.source->name, mark.line);
}

Loaded load_config(const std::string& path, const std::vector<std::string>& overrides, Purpose purpose) {
  Problems problems;
  const Merged merged = read_sources(path, overrides, problems);
  return load_merged(merged, path, std::filesystem::path(path).stem().string(), purpose, problems);
}

Loaded load_overrides(const std::vector<std::string>& overrides) {
  Problems problems;
  const Merged merged = read_overrides(overrides, problems);
  return load_merged(merged, "the command line", "unnamed", Purpose::kRun, problems);
}

}  // namespace longhaul::config
