#include "data/tokenizers/sentencepiece/sentencepiece.h"

#include <sentencepiece_processor.h>

#include <nlohmann/json.hpp>

#include "data/text/utf8.h"
#include "data/tokenizers/json_file.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr std::string_view kBlank = "\xE2\x96\x81";  // U+2581
using Type = SentencePieceFacts::Type;

/// Bytes of the first line of `text` with its end, at most kLongestLine; 0 where text to come could lengthen it.
size_t line_length(std::string_view text, bool last) {
  constexpr size_t kMost = SentencePieceTokenizer::kLongestLine;
  const size_t end = text.substr(0, kMost).find('\n');
  if (end != std::string_view::npos) return end + 1;
  if (text.size() <= kMost) return last ? text.size() : 0;
  size_t cut = kMost;  // not inside a character
  while (cut > kMost - 4 && (static_cast<uint8_t>(text[cut]) & 0xC0u) == 0x80u) --cut;
  return cut;
}

}  // namespace

struct SentencePieceTokenizer::Library {
  sentencepiece::SentencePieceProcessor processor;
};

SentencePieceTokenizer::SentencePieceTokenizer(std::string model, const std::string& source)
    : library_(std::make_unique<Library>()),
      model_(std::move(model)),
      facts_(check_sentencepiece_model(model_, source)) {
  try {
    const auto status = library_->processor.LoadFromSerializedProto(model_);
    check<DataError>(status.ok(), "[tokenizer] {}: {}", source, status.ToString());
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail<DataError>("[tokenizer] {}: the SentencePiece library refuses it: {}", source, error.what());
  }
  const auto& processor = library_->processor;
  check<DataError>(processor.GetPieceSize() == vocabulary_size(), "[tokenizer] {}: {} pieces, the library reads {}",
                   source, vocabulary_size(), processor.GetPieceSize());
  special_ = {processor.unk_id(), processor.bos_id(), processor.eos_id(), processor.pad_id(), -1};
  bool line_feed = false;
  for (size_t id = 0; id < facts_.pieces.size(); ++id) {
    if (facts_.pieces[id] == "[MASK]" || facts_.pieces[id] == "<mask>") special_.mask = static_cast<int32_t>(id);
    line_feed |= facts_.pieces[id] == "\n" && facts_.types[id] == Type::kUserDefined;
  }
  exact_ = !facts_.normalizes && !facts_.dummy_prefix && !facts_.removes_blanks && facts_.escapes_blanks &&
           !facts_.blank_as_suffix && facts_.byte_fallback && line_feed;
  seal();
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

size_t SentencePieceTokenizer::encode_front(std::string_view text, bool last, EncodedText& out) const {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = line_length(text.substr(at), last);
    if (length == 0) break;
    encode_line(text.substr(at, length), out);
    at += length;
  }
  return at;
}

void SentencePieceTokenizer::encode_line(std::string_view line, EncodedText& out) const {
  if (!exact_) {
    encode_plain(line, out);
    return;
  }
  size_t begin = 0;  // of what the library may see
  for (size_t at = 0; at < line.size();) {
    if (static_cast<uint8_t>(line[at]) < 0x80) {
      ++at;
      continue;
    }
    const Utf8Step step = utf8_step(line, at);
    const auto length = static_cast<size_t>(step.length);
    if (step.fault != Utf8Fault::kNone || line.substr(at, length) == kBlank) {
      encode_plain(line.substr(begin, at - begin), out);
      for (size_t i = at; i < at + length; ++i) out.ids.push_back(facts_.byte_ids[static_cast<uint8_t>(line[i])]);
      begin = at + length;
    }
    at += length;
  }
  encode_plain(line.substr(begin), out);
}

void SentencePieceTokenizer::encode_plain(std::string_view text, EncodedText& out) const {
  if (text.empty()) return;
  std::vector<int> ids;
  const auto status = library_->processor.Encode({text.data(), text.size()}, &ids);
  check<DataError>(status.ok(), "[tokenizer] the SentencePiece library: {}", status.ToString());
  for (const int id : ids) {
    out.ids.push_back(id);
    out.unknown += id == special_.unknown;
  }
}

std::string SentencePieceTokenizer::decode(std::span<const int32_t> ids) const {
  for (const int32_t id : ids) {
    check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id,
                     vocabulary_size());
  }
  std::string text;
  if (!exact_) {
    const auto status = library_->processor.Decode(std::vector<int>(ids.begin(), ids.end()), &text);
    check<DataError>(status.ok(), "[tokenizer] the SentencePiece library: {}", status.ToString());
    return text;
  }
  for (const int32_t id : ids) {
    const std::string& piece = facts_.pieces[static_cast<size_t>(id)];
    switch (facts_.types[static_cast<size_t>(id)]) {
      case Type::kControl:
      case Type::kUnknown:
        break;
      case Type::kByte:
        text.push_back(static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
        break;
      default:
        for (size_t at = 0; at < piece.size();) {
          const bool blank = std::string_view(piece).substr(at).starts_with(kBlank);
          text.push_back(blank ? ' ' : piece[at]);
          at += blank ? kBlank.size() : 1;
        }
    }
  }
  return text;
}

std::string SentencePieceTokenizer::piece(int32_t id) const {
  check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id, vocabulary_size());
  return facts_.pieces[static_cast<size_t>(id)];
}

std::vector<std::pair<std::string, std::string>> SentencePieceTokenizer::files() const {
  return {native_file(kind(), nlohmann::json::object()), {"tokenizer.model", model_}};
}

std::shared_ptr<const Tokenizer> load_sentencepiece(const std::string& path) {
  return std::make_shared<SentencePieceTokenizer>(read_tokenizer_file(path), path);
}

}  // namespace longhaul::data
