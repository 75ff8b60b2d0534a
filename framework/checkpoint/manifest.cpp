#include "framework/checkpoint/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

using Json = nlohmann::ordered_json;

// The text ends with this, 64 hexadecimal digits, and kTailEnd; the digits are the SHA-256 of all bytes before
// kTailStart.
constexpr std::string_view kTailStart = ",\n  \"sha256\": \"";
constexpr std::string_view kTailEnd = "\"\n}\n";
constexpr size_t kTailBytes = kTailStart.size() + 64 + kTailEnd.size();
constexpr size_t kMostDepth = 8;

// Refuses depth before a document is built from it.
Json parsed(std::string_view text, const std::string& where) {
  const auto guard = [&](int depth, Json::parse_event_t, Json&) {
    check<CheckpointError>(depth <= static_cast<int>(kMostDepth), "[manifest] {}: nested deeper than {}", where,
                           kMostDepth);
    return true;
  };
  Json out = Json::parse(text.begin(), text.end(), guard, false);
  check<CheckpointError>(!out.is_discarded() && out.is_object(), "[manifest] {}: it is not a JSON object", where);
  return out;
}

// Access to one object with errors that name the member.
class Members {
 public:
  Members(const Json& object, const std::string& where) : object_(object), where_(where) {
    check<CheckpointError>(object.is_object(), "[manifest] {}: it is not an object", where);
  }
  const Json& at(const char* name) const {
    const auto found = object_.find(name);
    check<CheckpointError>(found != object_.end(), "[manifest] {}: \"{}\" is missing", where_, name);
    return *found;
  }
  int64_t integer(const char* name) const {
    const Json& value = at(name);
    const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= INT64_MAX
                                                 : value.is_number_integer() && value.get<int64_t>() >= 0;
    check<CheckpointError>(fits, "[manifest] {}: \"{}\" is not a whole number of 0 or more", where_, name);
    return value.get<int64_t>();
  }
  std::string text(const char* name) const {
    check<CheckpointError>(at(name).is_string(), "[manifest] {}: \"{}\" is not text", where_, name);
    return at(name).get<std::string>();
  }
  std::string hash(const char* name, bool may_be_empty = false) const {
    const std::string value = text(name);
    const bool good = value.size() == 64 && value.find_first_not_of("0123456789abcdef") == std::string::npos;
    check<CheckpointError>(good || (may_be_empty && value.empty()),
                           "[manifest] {}: \"{}\" is not a SHA-256 of 64 hexadecimal digits", where_, name);
    return value;
  }
  const Json& list(const char* name) const {
    check<CheckpointError>(at(name).is_array(), "[manifest] {}: \"{}\" is not a list", where_, name);
    return at(name);
  }

 private:
  const Json& object_;
  const std::string& where_;
};

void check_name(const std::string& name, const std::string& where) {
  const bool plain = !name.empty() && name != "." && name != ".." && name != kManifestName && name.size() <= 255 &&
                     name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  check<CheckpointError>(plain, "[manifest] {}: \"{}\" is not the plain name of a file in this folder", where, name);
}

ManifestTensor tensor_from(const Json& json, const std::string& where) {
  const Members members(json, where);
  ManifestTensor out;
  out.name = members.text("name");
  out.dtype = members.text("dtype");
  for (const Json& size : members.list("shape")) {
    check<CheckpointError>(size.is_number_unsigned() && size.get<uint64_t>() <= INT64_MAX,
                           "[manifest] {}: the shape of tensor \"{}\" is not a list of whole numbers", where, out.name);
    out.shape.push_back(size.get<int64_t>());
  }
  out.begin = static_cast<uint64_t>(members.integer("begin"));
  out.end = static_cast<uint64_t>(members.integer("end"));
  out.sha256 = members.hash("sha256");
  return out;
}

ManifestFile file_from(const Json& json, const std::string& where) {
  const Members members(json, where);
  ManifestFile out;
  out.name = members.text("name");
  check_name(out.name, where);
  out.size = static_cast<uint64_t>(members.integer("size"));
  out.sha256 = members.hash("sha256");
  if (!json.contains("header_sha256") && !json.contains("tensors")) return out;
  out.header_sha256 = members.hash("header_sha256");
  for (const Json& tensor : members.list("tensors")) out.tensors.push_back(tensor_from(tensor, where));
  // The tensors must cover the file up to its end, or their hashes would not vouch for every byte.
  uint64_t at = out.tensors.empty() ? out.size : out.tensors.front().begin;
  for (const ManifestTensor& tensor : out.tensors) {
    check<CheckpointError>(tensor.begin == at && tensor.end >= at,
                           "[manifest] {}: tensor \"{}\" of {} leaves a gap or overlaps", where, tensor.name, out.name);
    at = tensor.end;
  }
  check<CheckpointError>(at == out.size, "[manifest] {}: the tensors of {} end at byte {} of {}", where, out.name, at,
                         out.size);
  return out;
}

Json json_of(const ManifestFile& file) {
  Json out = {{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}};
  if (file.header_sha256.empty()) return out;
  out["header_sha256"] = file.header_sha256;
  Json tensors = Json::array();
  for (const ManifestTensor& tensor : file.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"dtype", tensor.dtype},
                       {"shape", tensor.shape},
                       {"begin", tensor.begin},
                       {"end", tensor.end},
                       {"sha256", tensor.sha256}});
  }
  out["tensors"] = std::move(tensors);
  return out;
}

}  // namespace

const ManifestFile* Manifest::find(std::string_view file) const {
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const ManifestFile& entry) { return entry.name == file; });
  return found == files.end() ? nullptr : &*found;
}

std::string Manifest::text() const {
  Json list = Json::array();
  for (const ManifestFile& file : files) list.push_back(json_of(file));
  const Json json = {{"format", kFormatVersion},
                     {"hash", "sha256"},
                     {"step", step},
                     {"cursor", cursor},
                     {"world_size", world_size},
                     {"config_hash", config_hash},
                     {"tokenizer_hash", tokenizer_hash},
                     {"data", data},
                     {"files", std::move(list)}};
  // Paths of data need not be UTF-8; their hashes tell files apart.
  std::string out = json.dump(2, ' ', false, Json::error_handler_t::replace);
  out.resize(out.rfind("\n}"));  // reopened for the closing member
  const std::string hash = sha256_hex(out);
  return out.append(kTailStart).append(hash).append(kTailEnd);
}

Manifest Manifest::parse(std::string_view text, const std::string& where) {
  const std::string_view tail = text.size() >= kTailBytes ? text.substr(text.size() - kTailBytes) : std::string_view();
  check<CheckpointError>(!tail.empty() && tail.starts_with(kTailStart) && tail.ends_with(kTailEnd),
                         "[manifest] {}: it does not end with its own hash: it was cut off or changed", where);
  const std::string_view body = text.substr(0, text.size() - kTailBytes);
  check<CheckpointError>(sha256_hex(body) == tail.substr(kTailStart.size(), 64),
                         "[manifest] {}: it does not match its own hash: it was changed", where);

  const Json json = parsed(text, where);
  const Members members(json, where);
  const int64_t format = members.integer("format");
  check<CheckpointError>(format == kFormatVersion,
                         "[manifest] {}: format version {} is not known, this program reads version {}\n  hint: use "
                         "the version of Longhaul that wrote it",
                         where, format, kFormatVersion);
  check<CheckpointError>(members.text("hash") == "sha256", "[manifest] {}: the hash algorithm \"{}\" is not known",
                         where, members.text("hash"));
  Manifest out;
  out.step = members.integer("step");
  out.cursor = members.integer("cursor");
  out.world_size = static_cast<int>(std::min<int64_t>(members.integer("world_size"), INT32_MAX));
  out.config_hash = members.hash("config_hash", true);
  out.tokenizer_hash = members.hash("tokenizer_hash", true);
  check<CheckpointError>(members.at("data").is_object(), "[manifest] {}: \"data\" is not an object", where);
  for (const auto& [path, hash] : members.at("data").items()) {
    check<CheckpointError>(hash.is_string(), "[manifest] {}: the hash of \"{}\" is not text", where, path);
    out.data.emplace(path, hash.get<std::string>());
  }
  for (const Json& file : members.list("files")) {
    out.files.push_back(file_from(file, where));
    check<CheckpointError>(out.files.size() == 1 || out.files[out.files.size() - 2].name < out.files.back().name,
                           "[manifest] {}: the files are not in order of their names, or one stands twice: \"{}\"",
                           where, out.files.back().name);
  }
  return out;
}

}  // namespace longhaul::checkpoint
