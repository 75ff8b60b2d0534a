#include "framework/checkpoint/manifest.h"

#include <algorithm>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

using json::Value;

// The text ends with this, 64 hexadecimal digits, and kTailEnd; the digits are the SHA-256 of all bytes before
// kTailStart.
constexpr std::string_view kTailStart = ",\n  \"sha256\": \"";
constexpr std::string_view kTailEnd = "\"\n}\n";
constexpr size_t kTailBytes = kTailStart.size() + 64 + kTailEnd.size();
constexpr size_t kMostDepth = 8;

// Access to one object with errors that name the member.
class Members {
 public:
  Members(const Value& object, const std::string& where) : object_(object), where_(where) {
    check<CheckpointError>(object.object() != nullptr, "[manifest] {}: it is not a JSON object", where);
  }
  const Value& at(const char* name) const {
    const Value* found = object_.find(name);
    check<CheckpointError>(found != nullptr, "[manifest] {}: \"{}\" is missing", where_, name);
    return *found;
  }
  int64_t integer(const char* name) const {
    const int64_t* value = at(name).integer();
    check<CheckpointError>(value != nullptr && *value >= 0, "[manifest] {}: \"{}\" is not a whole number of 0 or more",
                           where_, name);
    return *value;
  }
  std::string text(const char* name) const {
    const std::string* value = at(name).text();
    check<CheckpointError>(value != nullptr, "[manifest] {}: \"{}\" is not text", where_, name);
    return *value;
  }
  std::string hash(const char* name, bool may_be_empty = false) const {
    const std::string value = text(name);
    const bool good = value.size() == 64 && value.find_first_not_of("0123456789abcdef") == std::string::npos;
    check<CheckpointError>(good || (may_be_empty && value.empty()),
                           "[manifest] {}: \"{}\" is not a SHA-256 of 64 hexadecimal digits", where_, name);
    return value;
  }
  const json::List& list(const char* name) const {
    const json::List* value = at(name).list();
    check<CheckpointError>(value != nullptr, "[manifest] {}: \"{}\" is not a list", where_, name);
    return *value;
  }
  const json::Object& object(const char* name) const {
    const json::Object* value = at(name).object();
    check<CheckpointError>(value != nullptr, "[manifest] {}: \"{}\" is not an object", where_, name);
    return *value;
  }

 private:
  const Value& object_;
  const std::string& where_;
};

void check_name(const std::string& name, const std::string& where) {
  const bool plain = !name.empty() && name != "." && name != ".." && name != kManifestName && name.size() <= 255 &&
                     name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  check<CheckpointError>(plain, "[manifest] {}: \"{}\" is not the plain name of a file in this folder", where, name);
}

ManifestTensor tensor_from(const Value& json, const std::string& where) {
  const Members members(json, where);
  ManifestTensor out;
  out.name = members.text("name");
  out.dtype = members.text("dtype");
  for (const Value& size : members.list("shape")) {
    check<CheckpointError>(size.integer() != nullptr && *size.integer() >= 0,
                           "[manifest] {}: the shape of tensor \"{}\" is not a list of whole numbers", where, out.name);
    out.shape.push_back(*size.integer());
  }
  out.begin = static_cast<uint64_t>(members.integer("begin"));
  out.end = static_cast<uint64_t>(members.integer("end"));
  out.sha256 = members.hash("sha256");
  return out;
}

ManifestFile file_from(const Value& json, const std::string& where) {
  const Members members(json, where);
  ManifestFile out;
  out.name = members.text("name");
  check_name(out.name, where);
  out.size = static_cast<uint64_t>(members.integer("size"));
  out.sha256 = members.hash("sha256");
  if (json.find("header_sha256") == nullptr && json.find("tensors") == nullptr) return out;
  out.header_sha256 = members.hash("header_sha256");
  for (const Value& tensor : members.list("tensors")) out.tensors.push_back(tensor_from(tensor, where));
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

Value json_of(const ManifestFile& file) {
  json::Object out;
  out.emplace_back("name", file.name);
  out.emplace_back("size", file.size);
  out.emplace_back("sha256", file.sha256);
  if (file.header_sha256.empty()) return out;
  out.emplace_back("header_sha256", file.header_sha256);
  json::List tensors;
  for (const ManifestTensor& tensor : file.tensors) {
    json::Object one;
    one.emplace_back("name", tensor.name);
    one.emplace_back("dtype", tensor.dtype);
    one.emplace_back("shape", json::List(tensor.shape.begin(), tensor.shape.end()));
    one.emplace_back("begin", tensor.begin);
    one.emplace_back("end", tensor.end);
    one.emplace_back("sha256", tensor.sha256);
    tensors.emplace_back(std::move(one));
  }
  out.emplace_back("tensors", std::move(tensors));
  return out;
}

}  // namespace

const ManifestFile* Manifest::find(std::string_view file) const {
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const ManifestFile& entry) { return entry.name == file; });
  return found == files.end() ? nullptr : &*found;
}

std::string Manifest::text() const {
  json::List list;
  for (const ManifestFile& file : files) list.emplace_back(json_of(file));
  json::Object hashes;
  for (const auto& [path, hash] : data) hashes.emplace_back(path, hash);
  json::Object members;
  members.emplace_back("format", kFormatVersion);
  members.emplace_back("hash", "sha256");
  members.emplace_back("step", step);
  members.emplace_back("cursor", cursor);
  members.emplace_back("world_size", world_size);
  members.emplace_back("config_hash", config_hash);
  members.emplace_back("tokenizer_hash", tokenizer_hash);
  members.emplace_back("data", std::move(hashes));
  members.emplace_back("files", std::move(list));
  std::string out = Value(std::move(members)).dump(2);
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

  const json::Parsed json = json::parse(text, kMostDepth);
  check<CheckpointError>(json.error.empty(), "[manifest] {}: {}", where, json.error);
  const Members members(json.value, where);
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
  for (const auto& [path, hash] : members.object("data")) {
    check<CheckpointError>(hash.text() != nullptr, "[manifest] {}: the hash of \"{}\" is not text", where, path);
    out.data.emplace(path, *hash.text());
  }
  for (const Value& file : members.list("files")) {
    out.files.push_back(file_from(file, where));
    check<CheckpointError>(out.files.size() == 1 || out.files[out.files.size() - 2].name < out.files.back().name,
                           "[manifest] {}: the files are not in order of their names, or one stands twice: \"{}\"",
                           where, out.files.back().name);
  }
  return out;
}

}  // namespace longhaul::checkpoint
