#include "data/corpus/paths.h"

#include <fnmatch.h>

#include <algorithm>

#include "data/corpus/byte_stream.h"
#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/base/log.h"

namespace longhaul::data {
namespace {

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

std::string joined(const std::string& folder, const std::string& name) {
  if (folder.empty()) return name;
  return folder.ends_with('/') ? folder + name : folder + "/" + name;
}

/// Kind of a folder's entry: a link to a file counts as the file, other links as what they are.
io::Kind kind_of(const std::string& path) {
  const io::Kind kind = io::info(path).kind;
  if (kind != io::Kind::kLink) return kind;
  try {
    return io::info_followed(path).kind == io::Kind::kFile ? io::Kind::kFile : io::Kind::kLink;
  } catch (const IoError&) {
    return io::Kind::kLink;
  }
}

void walk(const std::string& folder, std::vector<std::string>& files) {
  for (const std::string& name : io::list(folder.empty() ? "." : folder)) {
    const std::string path = joined(folder, name);
    switch (kind_of(path)) {
      case io::Kind::kFile:
        files.push_back(path);
        break;
      case io::Kind::kFolder:
        walk(path, files);
        break;
      default:
        log::warn("[data] {} is skipped: neither a file nor a folder, or a link to a folder", path);
    }
  }
}

std::vector<std::string> components(const std::string& pattern) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= pattern.size();) {
    const size_t end = std::min(pattern.find('/', at), pattern.size());
    if (end > at) parts.push_back(pattern.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

void match(const std::string& base, const std::vector<std::string>& parts, size_t at, std::vector<std::string>& files) {
  if (at == parts.size()) {
    if (kind_of(base) == io::Kind::kFile) files.push_back(base);
    return;
  }
  const std::string& part = parts[at];
  const bool last = at + 1 == parts.size();
  if (part == "**") {
    match(base, parts, at + 1, files);  // no folder
    for (const std::string& name : io::list(base.empty() ? "." : base)) {
      const std::string path = joined(base, name);
      if (io::info(path).kind == io::Kind::kFolder) match(path, parts, at, files);
    }
  } else if (!has_wildcard(part)) {
    const std::string path = joined(base, part);
    if (last ? io::exists(path) : io::info_followed(path).kind == io::Kind::kFolder) match(path, parts, at + 1, files);
  } else {
    for (const std::string& name : io::list(base.empty() ? "." : base)) {
      if (fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
      const std::string path = joined(base, name);
      if (last || io::info_followed(path).kind == io::Kind::kFolder) match(path, parts, at + 1, files);
    }
  }
}

}  // namespace

std::vector<std::string> expand_paths(const std::string& path) {
  check<DataError>(!path.empty(), "[data] an entry has an empty path");
  check<DataError>(path.find('\0') == std::string::npos, "[data] a path holds a NUL byte: \"{}\"",
                   path.substr(0, path.find('\0')));
  std::vector<std::string> files;
  data_errors([&] {
    io::Kind kind = io::Kind::kMissing;
    try {
      kind = io::info_followed(path).kind;
    } catch (const IoError&) {
      if (!has_wildcard(path)) throw;
    }
    if (kind == io::Kind::kFile) {
      files.push_back(path);
    } else if (kind == io::Kind::kFolder) {
      walk(path, files);
      check<DataError>(!files.empty(), "[data] folder {} holds no file", path);
    } else if (kind == io::Kind::kMissing && has_wildcard(path)) {
      match(path.starts_with('/') ? "/" : "", components(path), 0, files);
      check<DataError>(!files.empty(), "[data] no file matches {}", path);
    } else {
      check<DataError>(kind != io::Kind::kMissing, "[data] {} does not exist", path);
      fail<DataError>("[data] {} is neither a file nor a folder", path);
    }
  });
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

}  // namespace longhaul::data
