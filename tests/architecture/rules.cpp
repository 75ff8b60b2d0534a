#include "tests/architecture/rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace longhaul::architecture {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

const Names kFolders = {"framework", "models", "data", "train", "configs", "tests", "tools", "cmake", ".ci"};

// What each layer may include besides itself. Inside the framework the list is the chain
// nn -> attention -> ops -> autograd -> kernels -> pattern -> tensor -> base, cut at the layer.
const std::map<std::string, Names>& arrows() {
  static const std::map<std::string, Names> allowed = [] {
    std::map<std::string, Names> map;
    Names below;
    for (const char* layer : {"base", "tensor", "pattern", "kernels", "autograd", "ops", "attention", "nn"}) {
      const std::string name = std::string("framework/") + layer;
      map[name] = below;
      below.insert(name);
    }
    const auto with = [](Names names, const Names& more) {
      names.insert(more.begin(), more.end());
      return names;
    };
    const Names autograd = with(map["framework/autograd"], {"framework/autograd"});
    for (const char* layer : {"optim", "checkpoint", "distributed"}) map[std::string("framework/") + layer] = autograd;
    const Names kernels = with(map["framework/kernels"], {"framework/kernels"});
    for (const char* device : {"reference", "cpu", "cuda", "meta"}) {
      map[std::string("framework/backends/") + device] = kernels;
    }
    map["data"] = {"framework/base", "framework/tensor"};
    map["models"] = with(below, {"framework/checkpoint"});
    map["train"] = with(below, {"framework/optim", "framework/checkpoint", "framework/distributed", "data", "models"});
    return map;
  }();
  return allowed;
}

// Third-party headers, by how they begin, and the one place where .cpp files may include them.
const std::vector<std::pair<std::string, Names>> kFacades = {
    {"spdlog/", {"framework/base"}},
    {"openssl/", {"framework/base"}},
    {"oneapi/dnnl/", {"framework/backends/cpu"}},
    {"dnnl", {"framework/backends/cpu"}},
    {"yaml-cpp/", {"train"}},
    {"CLI/", {"train"}},
    {"sentencepiece", {"data"}},
    {"utf8proc", {"data"}},
    {"zlib.h", {"data"}},
    {"zstd", {"data"}},
    {"nlohmann/", {"framework/base", "framework/checkpoint", "data", "models", "train"}},
    {"omp.h", {"framework/base", "framework/backends/cpu", "train"}},
    {"fmt/", {"framework", "models", "data", "train"}},
};

// Headers of the C library and of the compiler that a header may need (those of C++ have no ".h"), and the two
// third-party headers that cost next to nothing: json_fwd.hpp holds forward declarations alone.
const Names kSystemHeaders = {"fcntl.h",  "immintrin.h", "sched.h",
                              "signal.h", "stdint.h",    "stdlib.h",
                              "unistd.h", "fmt/core.h",  "nlohmann/json_fwd.hpp"};
const Names kGenerated = {"longhaul_version.h", "longhaul_backends.h"};

// Tests and tools stand outside the house: they may look at anything in it.
bool outside(const SourceFile& file) { return file.path.starts_with("tests/") || file.path.starts_with("tools/"); }

bool within(const std::string& layer, const Names& places) {
  return std::any_of(places.begin(), places.end(),
                     [&](const std::string& place) { return layer == place || layer.starts_with(place + "/"); });
}

std::string arrow_problem(const SourceFile& file, const std::string& from, const Include& include) {
  if (kGenerated.contains(include.target)) return "";
  const std::string to = layer_of(include.target);
  if (to.empty() && !include.target.starts_with("tests/")) {
    return fmt::format("includes \"{}\", which is not a path from the repository's root", include.target);
  }
  if (outside(file) || from == to) return "";
  if (to.starts_with("framework/backends/")) return fmt::format("includes the backend \"{}\"", include.target);
  const auto found = arrows().find(from);
  if (found == arrows().end() || !found->second.contains(to)) {
    return fmt::format("includes \"{}\": {} may not include {}", include.target, from, to.empty() ? "tests" : to);
  }
  return "";
}

std::string third_party_problem(const SourceFile& file, const std::string& from, const Include& include) {
  const std::string& target = include.target;
  if (outside(file)) return "";
  if (file.is_header()) {
    const bool standard = target.find_first_of("./") == std::string::npos;
    if (standard || target.starts_with("sys/") || kSystemHeaders.contains(target)) return "";
    return fmt::format("a header includes the third-party <{}>; include it in a .cpp file", target);
  }
  for (const auto& [prefix, places] : kFacades) {
    if (!target.starts_with(prefix)) continue;
    return within(from, places) ? "" : fmt::format("includes <{}> outside of its facade", target);
  }
  return "";
}

// Patterns are put together so that this file does not hold the words it looks for.
const std::vector<std::pair<std::regex, std::string>>& forbidden() {
  static const std::vector<std::pair<std::regex, std::string>> patterns = [] {
    std::vector<std::pair<std::regex, std::string>> list;
    for (const auto& [left, right] : {std::pair("TO", "DO"), std::pair("FIX", "ME"), std::pair("XX", "X")}) {
      list.emplace_back(std::regex(fmt::format("\\b{}{}\\b", left, right)), "a note of unfinished work");
    }
    for (const char* folder : {"home", "root", "work", "Users", "mnt", "opt"}) {
      list.emplace_back(std::regex(fmt::format("(^|[\\s\"'=(:`])/{}/[A-Za-z]", folder)), "a path of one machine");
    }
    return list;
  }();
  return patterns;
}

bool is_text(const fs::path& path) {
  static const Names kinds = {".cpp", ".h",    ".cmake",        ".py",  ".yaml", ".yml",
                              ".md",  ".json", ".suppressions", ".txt", ""};
  return kinds.contains(path.extension().string());
}

void visit(const std::string& node, const std::map<std::string, std::vector<std::string>>& graph,
           std::vector<std::string>& path, Names& done, std::vector<std::string>& cycles) {
  const auto on_path = std::find(path.begin(), path.end(), node);
  if (on_path != path.end()) {
    std::string text;
    for (auto at = on_path; at != path.end(); ++at) text += *at + " -> ";
    cycles.push_back(text + node);
    return;
  }
  const auto found = graph.find(node);
  if (found == graph.end() || done.contains(node)) return;
  path.push_back(node);
  for (const std::string& next : found->second) visit(next, graph, path, done, cycles);
  path.pop_back();
  done.insert(node);
}

}  // namespace

std::vector<SourceFile> read_sources(const std::string& root) {
  std::vector<SourceFile> files;
  const auto add = [&](const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    files.push_back({fs::relative(path, root).generic_string(), text.str()});
  };
  for (const fs::directory_entry& top : fs::directory_iterator(root)) {
    const std::string name = top.path().filename().string();
    if (top.is_regular_file() && is_text(top.path()) && name != ".git") add(top.path());
    if (!top.is_directory() || !kFolders.contains(name)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(top.path())) {
      if (entry.is_regular_file() && is_text(entry.path())) add(entry.path());
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

std::string layer_of(const std::string& path) {
  const fs::path relative(path);
  auto part = relative.begin();
  const std::string top = part == relative.end() ? "" : part->string();
  if (top == "models" || top == "data" || top == "train") return top;
  if (top != "framework" || ++part == relative.end()) return "";
  const std::string second = part->string();
  if (second != "backends") return "framework/" + second;
  return ++part == relative.end() ? "" : "framework/backends/" + part->string();
}

std::vector<Include> includes_of(const SourceFile& file) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> includes;
  std::istringstream lines(file.text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::smatch match;
    if (std::regex_search(line, match, kInclude)) includes.push_back({match[2], match[1] == "\"", number});
  }
  return includes;
}

std::vector<std::string> include_problems(const SourceFile& file) {
  std::vector<std::string> problems;
  const std::string from = layer_of(file.path);
  for (const Include& include : includes_of(file)) {
    const std::string what =
        include.quoted ? arrow_problem(file, from, include) : third_party_problem(file, from, include);
    if (!what.empty()) problems.push_back(fmt::format("{}:{} {}", file.path, include.line, what));
  }
  if (file.is_header() && file.text.find("#pragma once") == std::string::npos) {
    problems.push_back(file.path + " has no #pragma once");
  }
  return problems;
}

std::vector<std::string> text_problems(const SourceFile& file) {
  std::vector<std::string> problems;
  std::istringstream lines(file.text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    for (const auto& [pattern, what] : forbidden()) {
      if (std::regex_search(line, pattern))
        problems.push_back(fmt::format("{}:{} {}: {}", file.path, number, what, line));
    }
  }
  return problems;
}

std::vector<std::string> include_cycles(const std::vector<SourceFile>& files) {
  std::map<std::string, std::vector<std::string>> graph;
  for (const SourceFile& file : files) {
    if (!file.is_source()) continue;
    for (const Include& include : includes_of(file)) {
      if (include.quoted) graph[file.path].push_back(include.target);
    }
  }
  std::vector<std::string> cycles, path;
  Names done;
  for (const auto& entry : graph) visit(entry.first, graph, path, done, cycles);
  return cycles;
}

int line_count(const SourceFile& file) {
  return static_cast<int>(std::count(file.text.begin(), file.text.end(), '\n'));
}

}  // namespace longhaul::architecture
