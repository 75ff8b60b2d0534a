#include "data/tokenizers/tokenizer.h"

#include <nlohmann/json.hpp>

#include "data/text/utf8.h"
#include "data/tokenizers/json_file.h"
#include "data/tokenizers/makers.h"
#include "data/tokenizers/vocabulary.h"
#include "framework/base/error.h"
#include "framework/base/io.h"

namespace longhaul::data {
namespace {

/// The names that SentencePiece models have in a folder: ours, that of BigBird, Pegasus and T5, and that of mBART.
constexpr const char* kSentencePieceNames[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"};

/// The SentencePiece model of a folder; empty where it has none.
std::string sentencepiece_of(const std::string& folder) {
  for (const char* name : kSentencePieceNames) {
    const io::Path path = io::Path(folder) / name;
    if (io::exists(path)) return path.string();
  }
  return {};
}

/// A public tokenizer.json with a unigram model says again what the SentencePiece model beside it says.
std::shared_ptr<const Tokenizer> load_unigram(const std::string& path) {
  const std::string model = sentencepiece_of(io::parent_of(path).string());
  check<DataError>(!model.empty(),
                   "[tokenizer] {} holds a unigram model, which is read from the SentencePiece model it was made of\n"
                   "  hint: put spiece.model or tokenizer.model of the same public folder beside it",
                   path);
  return load_sentencepiece(model);
}

bool is_unigram(const nlohmann::json& json) {
  const auto model = json.find("model");
  return model != json.end() && model->is_object() && model->contains("type") && (*model)["type"] == "Unigram";
}

std::shared_ptr<const Tokenizer> load_json(const std::string& path) {
  const nlohmann::json json = parse_strict(read_tokenizer_file(path), path);
  if (is_native(json)) return load_native(json, path);
  if (is_unigram(json)) return load_unigram(path);
  if (json.contains("model")) return bpe::load_json(json, path);
  const std::string merges = (io::parent_of(path) / "merges.txt").string();
  if (path.ends_with("vocab.json") && io::exists(merges)) return bpe::load_pair(path, merges);
  fail<DataError>("[tokenizer] {} is neither a tokenizer file of ours nor byte-level BPE", path);
}

/// A word a line.
std::shared_ptr<const Tokenizer> load_words(const std::string& path) {
  const std::string text = read_tokenizer_file(path);
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    words.push_back(text.substr(at, end - at));
    if (words.back().ends_with('\r')) words.back().pop_back();
    check<DataError>(static_cast<int64_t>(words.size()) <= kLargestVocabulary, "[tokenizer] {}: more than {} words",
                     path, kLargestVocabulary);
    at = end + 1;
  }
  check<DataError>(!words.empty(), "[tokenizer] {} is empty", path);
  try {
    return std::make_shared<WordTokenizer>(std::move(words));
  } catch (const DataError& error) {
    fail<DataError>("[tokenizer] {}: {}", path, std::string_view(error.what()).substr(12));
  }
}

std::shared_ptr<const Tokenizer> load_characters(const TokenizerOptions& options) {
  const std::string text = read_tokenizer_file(options.path);
  TokenizerOptions all = options;
  all.vocabulary_size = 0;
  return train_char(all, [&text](const std::function<void(std::string_view)>& take) { take(text); });
}

std::shared_ptr<const Tokenizer> load_path(const TokenizerOptions& options) {
  const std::string& path = options.path;
  io::Info info;
  try {
    info = io::info_followed(path);
  } catch (const IoError& error) {
    fail<DataError>("[tokenizer] {}", error.what());
  }
  check<DataError>(
      info.exists(),
      "[tokenizer] {} does not exist\n  hint: data.tokenizer.path is a file or folder; leave it out to train one",
      path);
  if (info.kind == io::Kind::kFolder) return load_tokenizer_folder(path);
  if (path.ends_with(".json")) return load_json(path);
  if (options.kind == TokenizerKind::kSentencePiece) return load_sentencepiece(path);
  if (options.kind == TokenizerKind::kWord) return load_words(path);
  if (options.kind == TokenizerKind::kChar) return load_characters(options);
  fail<DataError>("[tokenizer] {}: no known layout of a {} tokenizer", path, name_of(options.kind));
}

}  // namespace

std::string_view name_of(TokenizerKind kind) {
  switch (kind) {
    case TokenizerKind::kByte:
      return "byte";
    case TokenizerKind::kChar:
      return "char";
    case TokenizerKind::kWord:
      return "word";
    case TokenizerKind::kBpe:
      return "bpe";
    case TokenizerKind::kSentencePiece:
      return "sentencepiece";
  }
  return "";
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  EncodedText out;
  encode_front(text, true, out);
  return std::move(out.ids);
}

const Sha256::Digest& Tokenizer::hash() const { return hash_; }

void Tokenizer::seal() {
  Sha256 hash;
  for (const auto& [name, content] : files()) {
    hash.update(fmt::format("{} {}\n", name, content.size()));
    hash.update(content);
  }
  hash_ = hash.finish();
}

void Tokenizer::save(const std::string& folder) const {
  for (const auto& [name, content] : files()) io::write_new_file(io::Path(folder) / name, content);
}

std::shared_ptr<const Tokenizer> load_tokenizer(const TokenizerOptions& options) {
  if (options.kind == TokenizerKind::kByte && options.path.empty())
    return std::make_shared<ByteTokenizer>(options.offset);
  check<ConfigError>(!options.path.empty(), "[tokenizer] a {} tokenizer without a path is trained, not loaded",
                     name_of(options.kind));
  auto tokenizer = load_path(options);
  check<DataError>(tokenizer->kind() == options.kind, "[tokenizer] {} holds a {} tokenizer, expected {}", options.path,
                   name_of(tokenizer->kind()), name_of(options.kind));
  return tokenizer;
}

std::shared_ptr<const Tokenizer> load_tokenizer_folder(const std::string& folder) {
  const std::string json = folder + "/tokenizer.json";
  if (io::exists(json)) return load_json(json);
  const std::string model = sentencepiece_of(folder);
  if (!model.empty()) return load_sentencepiece(model);
  const std::string pair[] = {folder + "/vocab.json", folder + "/merges.txt"};
  if (io::exists(pair[0]) && io::exists(pair[1])) return bpe::load_pair(pair[0], pair[1]);
  fail<DataError>("[tokenizer] {} holds no tokenizer: no tokenizer.json, tokenizer.model, spiece.model or vocab.json with merges.txt",
                  folder);
}

std::shared_ptr<const Tokenizer> load_any_tokenizer(const std::string& path) {
  if (path.ends_with(".json")) return load_json(path);
  if (path.ends_with(".model")) return load_sentencepiece(path);
  return load_tokenizer_folder(path);
}

std::shared_ptr<const Tokenizer> train_tokenizer(const TokenizerOptions& options, const TextSource& text) {
  switch (options.kind) {
    case TokenizerKind::kByte:
      return std::make_shared<ByteTokenizer>(options.offset);
    case TokenizerKind::kChar:
      return train_char(options, text);
    case TokenizerKind::kWord:
      return train_word(options, text);
    case TokenizerKind::kBpe:
      return bpe::train(options, text);
    case TokenizerKind::kSentencePiece:
      return train_sentencepiece(options, text);
  }
  fail<InternalError>("kind of tokenizer {}", static_cast<int>(options.kind));
}

}  // namespace longhaul::data
