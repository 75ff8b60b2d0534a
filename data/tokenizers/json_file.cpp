#include "data/tokenizers/json_file.h"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "data/corpus/byte_stream.h"
#include "data/text/utf8.h"
#include "data/tokenizers/makers.h"
#include "data/tokenizers/vocabulary.h"
#include "framework/base/error.h"
#include "framework/base/io.h"

namespace longhaul::data {
namespace {

using Json = nlohmann::json;
constexpr const char* kFormat = "longhaul-tokenizer";
constexpr int kDeepest = 32;

std::vector<char32_t> codes_of(const std::string& characters, const std::string& path) {
  std::vector<char32_t> codes;
  for (size_t at = 0; at < characters.size();) {
    const Utf8Step step = utf8_step(characters, at);
    check<DataError>(step.fault == Utf8Fault::kNone, "[tokenizer] {}: \"characters\" is no UTF-8", path);
    check<DataError>(codes.empty() || codes.back() < step.code,
                     "[tokenizer] {}: \"characters\" are not in rising order at {}", path, code_name(step.code));
    codes.push_back(step.code);
    at += step.length;
  }
  check<DataError>(!codes.empty(), "[tokenizer] {}: \"characters\" is empty", path);
  return codes;
}

}  // namespace

std::string read_tokenizer_file(const std::string& path) {
  std::string text;
  try {
    text = io::read_file(path, kLargestTokenizerFile);
  } catch (const IoError& error) {
    std::string message = error.what();
    if (message.starts_with("[io]")) message.replace(0, 4, "[tokenizer]");
    throw DataError(message);
  }
  return text;
}

Json parse_strict(const std::string& text, const std::string& path) {
  // A quick look first, so that a file of millions of entries is refused before memory is spent on it. Marks inside
  // strings count too, hence twice the limit.
  int64_t colons = 0;
  for (size_t at = text.find("\":"); at != std::string::npos; at = text.find("\":", at + 2)) ++colons;
  check<DataError>(colons <= 2 * kLargestVocabulary, "[tokenizer] {}: more than {} entries", path, kLargestVocabulary);
  std::vector<std::unordered_set<std::string>> keys;  // of the open objects
  int64_t count = 0;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    check<DataError>(depth <= kDeepest, "[tokenizer] {}: nested deeper than {} levels", path, kDeepest);
    switch (event) {
      case Json::parse_event_t::object_start:
        keys.emplace_back();
        break;
      case Json::parse_event_t::key: {
        const auto& name = value.get_ref<const std::string&>();
        check<DataError>(name.size() <= kLongestPiece, "[tokenizer] {}: a name of {} bytes, at most {} are read", path,
                         name.size(), kLongestPiece);
        check<DataError>(keys.back().insert(name).second, "[tokenizer] {}: \"{}\" stands twice in one object", path,
                         name);
        check<DataError>(++count <= kLargestVocabulary, "[tokenizer] {}: more than {} entries", path,
                         kLargestVocabulary);
        break;
      }
      case Json::parse_event_t::object_end:
        keys.pop_back();
        break;
      default:
        break;
    }
    return true;
  };
  Json json;
  try {
    json = Json::parse(text, watch);
  } catch (const Json::exception& error) {
    fail<DataError>("[tokenizer] {} is malformed: {}", path, error.what());
  }
  check<DataError>(json.is_object(), "[tokenizer] {}: expected an object, found {}", path, json.type_name());
  return json;
}

std::pair<std::string, std::string> native_file(TokenizerKind kind, const Json& fields) {
  Json json = {{"format", kFormat}, {"version", 1}, {"kind", name_of(kind)}};
  json.update(fields);
  return {"tokenizer.json", json.dump() + "\n"};
}

bool is_native(const Json& json) {
  const auto format = json.find("format");
  return format != json.end() && format->is_string() && format->get_ref<const std::string&>() == kFormat;
}

std::shared_ptr<const Tokenizer> load_native(const Json& json, const std::string& path) {
  try {
    check<DataError>(json.at("version") == 1, "[tokenizer] {}: version {}, this build reads 1", path,
                     json.at("version").dump());
    const std::string kind = json.at("kind");
    if (kind == name_of(TokenizerKind::kByte)) {
      const Json& offset = json.at("offset");
      check<DataError>(offset.is_number_integer() && offset >= 0 && offset <= 65536,
                       "[tokenizer] {}: offset {}, expected 0 to 65536", path, offset.dump());
      return std::make_shared<ByteTokenizer>(offset.get<int64_t>());
    }
    if (kind == name_of(TokenizerKind::kChar)) {
      return std::make_shared<CharTokenizer>(codes_of(json.at("characters"), path), json.at("unknown").get<bool>());
    }
    if (kind == name_of(TokenizerKind::kWord)) {
      auto words = json.at("words").get<std::vector<std::string>>();
      check<DataError>(static_cast<int64_t>(words.size()) <= kLargestVocabulary, "[tokenizer] {}: {} words, at most {}",
                       path, words.size(), kLargestVocabulary);
      try {
        return std::make_shared<WordTokenizer>(std::move(words));
      } catch (const DataError& error) {
        fail<DataError>("[tokenizer] {}: {}", path, std::string_view(error.what()).substr(12));
      }
    }
    if (kind == name_of(TokenizerKind::kSentencePiece)) {
      return load_sentencepiece((io::parent_of(path) / "tokenizer.model").string());
    }
    fail<DataError>("[tokenizer] {}: unknown kind \"{}\"", path, kind);
  } catch (const Json::exception& error) {
    fail<DataError>("[tokenizer] {} is malformed: {}", path, error.what());
  }
}

}  // namespace longhaul::data
