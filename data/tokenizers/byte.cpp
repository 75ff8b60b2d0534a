#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/text/utf8.h"
#include "data/tokenizers/json_file.h"
#include "data/tokenizers/vocabulary.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr const char* kNames[] = {"<pad>", "<end>", "<begin>", "<mask>"};

}  // namespace

ByteTokenizer::ByteTokenizer(int64_t offset) : offset_(offset) {
  check<ConfigError>(offset >= 0 && offset <= 65536, "[tokenizer] offset = {}, expected 0 to 65536", offset);
  seal();
}

SpecialIds ByteTokenizer::special() const {
  const auto id = [this](int32_t wanted) { return offset_ > wanted ? wanted : -1; };
  return {.unknown = -1, .begin = id(2), .end = id(1), .pad = id(0), .mask = id(3)};
}

size_t ByteTokenizer::encode_front(std::string_view text, bool, EncodedText& out) const {
  std::vector<int32_t>& ids = out.ids;
  const size_t first = ids.size();
  ids.resize(first + text.size());
  std::transform(text.begin(), text.end(), ids.begin() + static_cast<std::ptrdiff_t>(first),
                 [this](char byte) { return static_cast<int32_t>(static_cast<uint8_t>(byte) + offset_); });
  return text.size();
}

std::string ByteTokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id,
                     vocabulary_size());
    if (id >= offset_) text.push_back(static_cast<char>(id - offset_));
  }
  return text;
}

std::string ByteTokenizer::piece(int32_t id) const {
  check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id, vocabulary_size());
  if (id < offset_) return id < 4 ? kNames[id] : fmt::format("<reserved {}>", id);
  const auto byte = static_cast<uint8_t>(id - offset_);
  return byte < 0x80 ? std::string(1, static_cast<char>(byte)) : fmt::format("<0x{:02X}>", byte);
}

std::vector<std::pair<std::string, std::string>> ByteTokenizer::files() const {
  return {native_file(kind(), {{"offset", offset_}})};
}

}  // namespace longhaul::data
