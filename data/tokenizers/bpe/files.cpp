#include <nlohmann/json.hpp>

#include "data/tokenizers/bpe/bpe.h"
#include "data/tokenizers/json_file.h"
#include "framework/base/error.h"

namespace longhaul::data::bpe {
namespace {

using Json = nlohmann::json;
constexpr size_t kMostMerges = 8'000'000;

/// Puts pieces at their ids: each id in range, used once, and none left out.
class IdTable {
 public:
  explicit IdTable(std::string path) : path_(std::move(path)) {}

  void add(const std::string& piece, const Json& id) {
    check<DataError>(id.is_number_integer(), "[tokenizer] {}: the id of \"{}\" is {}, expected a whole number", path_,
                     piece, id.type_name());
    const bool in_range = id.is_number_unsigned() && id.get<uint64_t>() < static_cast<uint64_t>(kLargestVocabulary);
    check<DataError>(in_range, "[tokenizer] {}: id {} of \"{}\" is out of range 0 to {}", path_, id.dump(), piece,
                     kLargestVocabulary - 1);
    const auto at = id.get<size_t>();
    if (at >= pieces_.size()) {
      pieces_.resize(at + 1);
      used_.resize(at + 1, false);
    }
    check<DataError>(!used_[at] || pieces_[at] == piece, "[tokenizer] {}: id {} belongs to both \"{}\" and \"{}\"",
                     path_, at, pieces_[at], piece);
    pieces_[at] = piece;
    used_[at] = true;
  }

  std::vector<std::string> finish() {
    check<DataError>(!pieces_.empty(), "[tokenizer] {}: the vocabulary is empty", path_);
    for (size_t id = 0; id < used_.size(); ++id) {
      check<DataError>(used_[id], "[tokenizer] {}: no piece has id {}, the largest id is {}", path_, id,
                       used_.size() - 1);
    }
    return std::move(pieces_);
  }

 private:
  std::string path_;
  std::vector<std::string> pieces_;
  std::vector<bool> used_;
};

std::pair<std::string, std::string> split_merge(const std::string& line, const std::string& path, size_t number) {
  const size_t blank = line.find(' ');
  check<DataError>(blank != std::string::npos && blank > 0 && blank + 1 < line.size() &&
                       line.find(' ', blank + 1) == std::string::npos,
                   "[tokenizer] {}: merge {} is \"{}\", expected two pieces and one blank", path, number,
                   line.substr(0, 80));
  return {line.substr(0, blank), line.substr(blank + 1)};
}

/// A setting that must be absent, null or one of the values that mean GPT-2's behaviour.
void require(const Json& object, const char* name, std::initializer_list<Json> accepted, const std::string& path) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return;
  for (const Json& value : accepted) {
    if (*found == value) return;
  }
  fail<DataError>("[tokenizer] {}: {} = {} is not supported", path, name, found->dump().substr(0, 200));
}

void check_pipeline(const Json& json, const std::string& path) {
  require(json, "normalizer", {}, path);
  const auto splitter = json.find("pre_tokenizer");
  check<DataError>(
      splitter != json.end() && splitter->is_object() && splitter->value("type", "") == "ByteLevel",
      "[tokenizer] {}: pre_tokenizer is not ByteLevel: only byte-level BPE with the splitting of GPT-2 is read", path);
  require(*splitter, "add_prefix_space", {false}, path);
  require(*splitter, "use_regex", {true}, path);
}

AddedToken added_from(const Json& json, const std::string& path) {
  require(json, "single_word", {false}, path);
  AddedToken token;
  token.content = json.at("content").get<std::string>();
  check<DataError>(!token.content.empty(), "[tokenizer] {}: an added token is empty", path);
  token.left_strip = json.value("lstrip", false);
  token.right_strip = json.value("rstrip", false);
  token.special = json.value("special", false);
  return token;
}

}  // namespace

std::shared_ptr<const Tokenizer> load_json(const Json& json, const std::string& path) {
  try {
    const Json& model = json.at("model");
    check<DataError>(model.is_object() && model.value("type", "BPE") == "BPE",
                     "[tokenizer] {}: model.type is {}, expected BPE", path,
                     model.is_object() ? model.value("type", "absent") : model.type_name());
    check_pipeline(json, path);
    require(model, "dropout", {0.0}, path);
    require(model, "continuing_subword_prefix", {""}, path);
    require(model, "end_of_word_suffix", {""}, path);
    require(model, "byte_fallback", {false}, path);
    require(model, "fuse_unk", {false}, path);
    BpeModel out;
    if (const auto unknown = model.find("unk_token"); unknown != model.end() && !unknown->is_null())
      out.unknown = *unknown;
    out.ignore_merges = model.value("ignore_merges", false);
    IdTable table(path);
    check<DataError>(model.at("vocab").is_object(), "[tokenizer] {}: model.vocab is {}, expected an object", path,
                     model.at("vocab").type_name());
    for (const auto& [piece, id] : model.at("vocab").items()) table.add(piece, id);
    for (const Json& item : json.value("added_tokens", Json::array())) {
      AddedToken token = added_from(item, path);
      table.add(token.content, item.at("id"));
      token.id = item.at("id").get<int32_t>();
      out.added.push_back(std::move(token));
    }
    out.pieces = table.finish();
    const Json& merges = model.at("merges");
    check<DataError>(merges.is_array() && merges.size() <= kMostMerges,
                     "[tokenizer] {}: model.merges is no list of at most {}", path, kMostMerges);
    for (const Json& merge : merges) {
      if (merge.is_string()) {
        out.merges.push_back(split_merge(merge, path, out.merges.size()));
      } else {
        check<DataError>(merge.is_array() && merge.size() == 2, "[tokenizer] {}: merge {} is no pair", path,
                         out.merges.size());
        out.merges.emplace_back(merge[0], merge[1]);
      }
    }
    return std::make_shared<BpeTokenizer>(std::move(out), path);
  } catch (const Json::exception& error) {
    fail<DataError>("[tokenizer] {} is malformed: {}", path, error.what());
  }
}

std::shared_ptr<const Tokenizer> load_pair(const std::string& vocabulary_path, const std::string& merges_path) {
  const Json vocabulary = parse_strict(read_tokenizer_file(vocabulary_path), vocabulary_path);
  BpeModel out;
  IdTable table(vocabulary_path);
  for (const auto& [piece, id] : vocabulary.items()) table.add(piece, id);
  out.pieces = table.finish();
  for (const char* mark : {"<|endoftext|>", "<s>", "</s>", "<pad>", "<unk>", "<mask>"}) {
    const auto found = vocabulary.find(mark);
    // RoBERTa's <mask> stands for a word and its blank.
    if (found != vocabulary.end())
      out.added.push_back({found->get<int32_t>(), mark, std::string_view(mark) == "<mask>", false, true});
  }
  const std::string text = read_tokenizer_file(merges_path);
  for (size_t at = 0, number = 0; at < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.pop_back();
    at = end + 1;
    if (line.empty() || (number == 0 && line.starts_with("#version"))) continue;
    check<DataError>(out.merges.size() < kMostMerges, "[tokenizer] {}: more than {} merges", merges_path, kMostMerges);
    out.merges.push_back(split_merge(line, merges_path, out.merges.size()));
  }
  return std::make_shared<BpeTokenizer>(std::move(out), vocabulary_path);
}

std::vector<std::pair<std::string, std::string>> BpeTokenizer::files() const {
  using Ordered = nlohmann::ordered_json;
  Ordered added = Ordered::array();
  for (const AddedToken& token : model_.added) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", false},
                     {"lstrip", token.left_strip},
                     {"rstrip", token.right_strip},
                     {"normalized", false},
                     {"special", token.special}});
  }
  Ordered vocabulary = Ordered::object();
  {
    // ordered_json searches its keys on insertion; the pairs are put in as a whole instead.
    auto& items = vocabulary.get_ref<Ordered::object_t&>();
    items.reserve(model_.pieces.size());
    for (size_t id = 0; id < model_.pieces.size(); ++id) {
      static_cast<std::vector<Ordered::object_t::value_type>&>(items).emplace_back(model_.pieces[id], Ordered(id));
    }
  }
  Ordered merges = Ordered::array();
  for (const auto& [left, right] : model_.merges) merges.push_back(left + " " + right);
  const Ordered splitter = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  Ordered model = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", model_.unknown.empty() ? Ordered(nullptr) : Ordered(model_.unknown)},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", model_.ignore_merges}};
  model["vocab"] = std::move(vocabulary);
  model["merges"] = std::move(merges);
  Ordered json = {{"version", "1.0"},          {"truncation", nullptr},
                  {"padding", nullptr},        {"added_tokens", std::move(added)},
                  {"normalizer", nullptr},     {"pre_tokenizer", splitter},
                  {"post_processor", nullptr}, {"decoder", splitter}};
  json["model"] = std::move(model);
  return {{"tokenizer.json", json.dump(1) + "\n"}};
}

}  // namespace longhaul::data::bpe
