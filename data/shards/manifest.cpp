#include "data/shards/manifest.h"

#include <nlohmann/json.hpp>

#include "data/corpus/byte_stream.h"
#include "framework/base/error.h"
#include "framework/base/io.h"

namespace longhaul::data {
namespace {

using Json = nlohmann::json;
constexpr const char* kFormat = "longhaul-token-shards";
constexpr const char* kFidelities[] = {"exact", "words", "lossy"};

Json mark_json(const FileMark& mark) {
  return {{"path", mark.path},
          {"size", mark.size},
          {"modified_ns", mark.modified_ns},
          {"ends", mark.ends},
          {"content", mark.content}};
}

FileMark mark_from(const Json& json) {
  return {json.at("path"), json.at("size"), json.at("modified_ns"), json.at("ends"), json.at("content")};
}

/// Paths may hold bytes that are no UTF-8, which JSON cannot; they are kept readable.
std::string dump(const Json& json) { return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string manifest_text(const Prepared& prepared) {
  Json json = {{"format", kFormat},
               {"version", 1},
               {"key", prepared.key},
               {"tokenizer", prepared.tokenizer_hash},
               {"fidelity", kFidelities[static_cast<int>(prepared.fidelity)]},
               {"unknown_tokens", prepared.unknown_tokens},
               {"replaced_bytes", prepared.replaced_bytes},
               {"empty_documents", prepared.empty_documents}};
  json["shards"] = Json::array();
  for (const ShardNote& shard : prepared.shards) {
    json["shards"].push_back({{"name", shard.name}, {"bytes", shard.bytes}, {"header_sha256", shard.header_hash}});
  }
  json["files"] = Json::array();
  for (const FileMark& mark : prepared.files) json["files"].push_back(mark_json(mark));
  return dump(json);
}

std::optional<Prepared> open_prepared(const std::string& folder) {
  const std::string path = folder + "/manifest.json";
  Prepared out;
  out.folder = folder;
  bool there = true;
  data_errors([&] {
    there = io::exists(folder);
    if (!there) return;
    try {
      const Json json = Json::parse(io::read_file(path, uint64_t{1} << 30));
      check<DataError>(json.at("format").get_ref<const std::string&>() == kFormat && json.at("version") == 1,
                       "[data] {} is no manifest of token shards", path);
      out.key = json.at("key");
      out.tokenizer_hash = json.at("tokenizer");
      const std::string fidelity = json.at("fidelity");
      out.fidelity = fidelity == kFidelities[0]   ? Fidelity::kExact
                     : fidelity == kFidelities[1] ? Fidelity::kWords
                                                  : Fidelity::kLossy;
      out.unknown_tokens = json.at("unknown_tokens");
      out.replaced_bytes = json.at("replaced_bytes");
      out.empty_documents = json.at("empty_documents");
      for (const Json& shard : json.at("shards")) {
        out.shards.push_back({shard.at("name"), shard.at("bytes"), shard.at("header_sha256")});
        const std::string& name = out.shards.back().name;
        check<DataError>(!name.empty() && name.find('/') == std::string::npos, "[data] {}: shard name \"{}\"", path,
                         name);
      }
      for (const Json& mark : json.at("files")) out.files.push_back(mark_from(mark));
    } catch (const Json::exception& error) {
      fail<DataError>("[data] {} is malformed: {}", path, error.what());
    }
  });
  if (!there) return std::nullopt;
  return out;
}

std::string marks_to_json(const std::vector<FileMark>& marks) {
  Json json = Json::array();
  for (const FileMark& mark : marks) json.push_back(mark_json(mark));
  return dump(json);
}

std::vector<FileMark> marks_from_json(const std::string& text) {
  std::vector<FileMark> marks;
  try {
    for (const Json& mark : Json::parse(text)) marks.push_back(mark_from(mark));
  } catch (const Json::exception& error) {
    fail<CheckpointError>("[data] the marks of the input files are malformed: {}", error.what());
  }
  return marks;
}

}  // namespace longhaul::data
