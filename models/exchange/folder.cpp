#include "models/exchange/folder.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/error.h"
#include "models/exchange/exchange.h"

namespace longhaul::models::exchange {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kWeights = "model.safetensors";
constexpr std::array kOthers = {"added_tokens.json",
                                "chat_template.jinja",
                                "generation_config.json",
                                "merges.txt",
                                kWeightsIndex,
                                "sentencepiece.bpe.model",
                                "special_tokens_map.json",
                                "spiece.model",
                                "tokenizer.json",
                                "tokenizer.model",
                                "tokenizer_config.json",
                                "vocab.json",
                                "vocab.txt"};
constexpr uint64_t kMostJsonBytes = uint64_t{64} << 20;

bool plain(const std::string& name) {
  return !name.empty() && name.find('/') == std::string::npos && name != "." && name != ".." &&
         name.find('\0') == std::string::npos;
}

template <typename T>
T member(const Json& json, const char* name, const std::string& where) {
  try {
    return json.at(name).get<T>();
  } catch (const Json::exception&) {
    fail<CheckpointError>("[exchange] {}: \"{}\" is missing or of another type", where, name);
  }
}

}  // namespace

FreshFolder::FreshFolder(const io::Path& target) : target_(target.has_filename() ? target : target.parent_path()) {
  const io::Kind kind = io::info(target_).kind;
  const bool usable = kind == io::Kind::kMissing || (kind == io::Kind::kFolder && io::list(target_).empty());
  check<CheckpointError>(usable, "[exchange] {} exists already\n  hint: name a folder that does not exist yet",
                         target_.string());
  temporary_ = fmt::format("{}.tmp-{}", target_.string(), ::getpid());
  io::make_folders(io::parent_of(target_));
  io::make_folder(temporary_);
}

FreshFolder::~FreshFolder() {
  if (committed_) return;
  try {
    io::remove_all(temporary_);
  } catch (const std::exception&) {
    // The error that led here is the one to report.
  }
}

void FreshFolder::commit() {
  io::sync_folder(temporary_);
  io::rename(temporary_, target_);
  committed_ = true;
  io::sync_folder(io::parent_of(target_));
}

std::string PublicFolder::text() const {
  Json list = Json::array();
  for (const PublicFile& file : files) {
    Json tensors = Json::array();
    for (const auto& tensor : file.tensors)
      tensors.push_back({{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}});
    list.push_back({{"name", file.name}, {"metadata", file.metadata}, {"tensors", std::move(tensors)}});
  }
  const Json json = {{"format", 1},
                     {"family", family},
                     {"config", Json::parse(config)},
                     {"files", std::move(list)},
                     {"others", others}};
  return json.dump(1) + "\n";
}

PublicFolder PublicFolder::parse(std::string_view text, const std::string& where) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  check<CheckpointError>(json.is_object() && member<int64_t>(json, "format", where) == 1,
                         "[exchange] {}: it is not the public.json of an imported model", where);
  PublicFolder out;
  out.family = member<std::string>(json, "family", where);
  out.config = member<Json>(json, "config", where).dump(2) + "\n";
  out.others = member<std::vector<std::string>>(json, "others", where);
  for (const Json& file : member<Json>(json, "files", where)) {
    PublicFile one{.name = member<std::string>(file, "name", where),
                   .metadata = member<std::map<std::string, std::string>>(file, "metadata", where),
                   .tensors = {}};
    for (const Json& tensor : member<Json>(file, "tensors", where)) {
      one.tensors.push_back({.name = member<std::string>(tensor, "name", where),
                             .dtype = member<std::string>(tensor, "dtype", where),
                             .shape = member<std::vector<int64_t>>(tensor, "shape", where)});
    }
    out.files.push_back(std::move(one));
  }
  for (const PublicFile& file : out.files)
    check<CheckpointError>(plain(file.name), "[exchange] {}: \"{}\" is no plain file name", where, file.name);
  for (const std::string& name : out.others) {
    const bool known = std::find(kOthers.begin(), kOthers.end(), name) != kOthers.end();
    check<CheckpointError>(known, "[exchange] {}: \"{}\" is no file of a tokenizer or of generation", where, name);
  }
  return out;
}

std::vector<std::string> other_files(const io::Path& folder) {
  std::vector<std::string> out;
  for (const char* name : kOthers) {
    if (io::info_followed(folder / name).kind == io::Kind::kFile) out.emplace_back(name);
  }
  return out;
}

std::map<std::string, std::string> public_files(const io::Path& model) {
  const io::Path path = model / kPublicJson;
  if (!io::exists(path)) return {};
  std::map<std::string, std::string> out = {{kPublicJson, io::read_file(path)}};
  std::vector<std::string> names = PublicFolder::parse(out.at(kPublicJson), path.string()).others;
  if (io::exists(model / kPublicBuffers)) names.emplace_back(kPublicBuffers);
  for (const std::string& name : names) out[name] = io::read_file(model / name);
  return out;
}

std::vector<std::string> weight_files(const io::Path& folder) {
  if (io::exists(folder / kWeights)) return {kWeights};
  const io::Path index = folder / kWeightsIndex;
  check<CheckpointError>(
      io::exists(index),
      "[exchange] {} holds neither {} nor {}\n  hint: weights in other formats must be converted to safetensors first",
      folder.string(), kWeights, kWeightsIndex);
  const Json json = Json::parse(io::read_file(index, kMostJsonBytes), nullptr, false);
  check<CheckpointError>(json.is_object() && json.contains("weight_map") && json["weight_map"].is_object(),
                         "[exchange] {}: there is no object \"weight_map\"", index.string());
  std::set<std::string> names;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    check<CheckpointError>(file.is_string() && plain(file.get<std::string>()),
                           "[exchange] {}: the file of \"{}\" is no plain file name", index.string(), tensor);
    names.insert(file.get<std::string>());
  }
  return {names.begin(), names.end()};
}

}  // namespace longhaul::models::exchange
