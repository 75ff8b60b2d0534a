#include "data/tokenizers/sentencepiece/model_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "data/tokenizers/json_file.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr size_t kLongest = 4096;       // bytes of a piece: the library's trie recurses once a byte
constexpr int kMostNestedMatches = 32;  // what the library has room for along one path of the character map

/// Fields of a protocol buffer message, one after another.
class Wire {
 public:
  Wire(std::string_view bytes, const std::string& path) : rest_(bytes), path_(path) {}

  bool next() {
    if (rest_.empty()) return false;
    const uint64_t tag = varint();
    field = tag >> 3;
    bytes = {};
    value = 0;
    switch (tag & 7) {
      case 0:
        value = varint();
        break;
      case 1:
        bytes = take(8);
        break;
      case 2:
        bytes = take(varint());
        break;
      case 5:
        bytes = take(4);
        break;
      default:
        fail<DataError>("[tokenizer] {} is no SentencePiece model: wire type {}", path_, tag & 7);
    }
    type = tag & 7;
    check<DataError>(field > 0, "[tokenizer] {} is no SentencePiece model: field 0", path_);
    return true;
  }

  uint64_t field = 0;
  uint64_t type = 0;
  uint64_t value = 0;
  std::string_view bytes;

 private:
  uint64_t varint() {
    uint64_t result = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1)[0]);
      result |= static_cast<uint64_t>(byte & 0x7Fu) << shift;
      if (byte < 0x80) return result;
    }
    fail<DataError>("[tokenizer] {} is no SentencePiece model: a number does not end", path_);
  }
  std::string_view take(uint64_t count) {
    check<DataError>(count <= rest_.size(),
                     "[tokenizer] {} is no SentencePiece model, or is cut off: {} bytes where {} are announced", path_,
                     rest_.size(), count);
    const std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  std::string_view rest_;
  const std::string& path_;
};

uint32_t word_at(std::string_view bytes, size_t index) {
  uint32_t value;
  std::memcpy(&value, bytes.data() + 4 * index, 4);
  return value;
}

/// The character map: u32 length of a double array (units of 4 bytes, darts-clone), the array, NUL-terminated
/// replacements. No step may leave the array, and no
/// path may come back to itself.
void check_character_map(std::string_view map, const std::string& path) {
  if (map.empty()) return;
  const auto bad = [&path](const char* what) {
    fail<DataError>("[tokenizer] {}: the character map is malformed: {}", path, what);
  };
  if (map.size() <= 4) bad("too short");
  const uint32_t trie_bytes = word_at(map, 0);
  if (trie_bytes % 4 != 0 || trie_bytes == 0 || trie_bytes > map.size() - 4) bad("length of its index");
  const std::string_view trie = map.substr(4, trie_bytes);
  const std::string_view texts = map.substr(4 + trie_bytes);
  if (texts.empty() || texts.back() != '\0') bad("replacements without an end");
  const size_t units = trie_bytes / 4;
  const auto base_of = [&](size_t at) {
    const uint32_t unit = word_at(trie, at);
    return at ^ (static_cast<size_t>(unit >> 10) << ((unit & (1u << 9)) >> 6));
  };
  // Depth-first, because equal ends are shared: nodes may have several parents, but none may be its own descendant.
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> state(units, kNew);
  std::vector<int> matches(units, 0);  // most of them on a path from the node down, itself included
  struct Step {
    size_t node, base, label;
  };
  std::vector<Step> path_down;
  const auto enter = [&](size_t node) {
    const size_t base = base_of(node);
    if ((base | 0xFF) >= units) bad("a step leaves its index");
    if (word_at(trie, node) & (1u << 8)) {  // a match ends here; its unit holds the place of the replacement
      if ((word_at(trie, base) & 0x7FFFFFFFu) >= texts.size()) bad("a replacement outside the text");
    }
    state[node] = kOpen;
    path_down.push_back({node, base, 1});
  };
  enter(0);
  while (!path_down.empty()) {
    Step& step = path_down.back();
    const size_t node = step.node;
    if (step.label == 256) {
      matches[node] += (word_at(trie, node) >> 8) & 1u;
      if (matches[node] > kMostNestedMatches) bad("too many nested matches");
      state[node] = kDone;
      path_down.pop_back();
      if (!path_down.empty()) {
        int& above = matches[path_down.back().node];
        above = std::max(above, matches[node]);
      }
      continue;
    }
    const size_t label = step.label++;
    const size_t child = step.base ^ label;
    if ((word_at(trie, child) & (0x80000000u | 0xFFu)) != label) continue;
    if (state[child] == kOpen) bad("a cycle");
    if (state[child] == kNew) {
      enter(child);
    } else {
      matches[node] = std::max(matches[node], matches[child]);
    }
  }
}

void read_piece(std::string_view message, const std::string& path, SentencePieceFacts& facts) {
  std::string piece;
  auto type = SentencePieceFacts::Type::kNormal;
  const size_t id = facts.pieces.size();
  Wire wire(message, path);
  while (wire.next()) {
    if (wire.field == 1 && wire.type == 2) {
      check<DataError>(wire.bytes.size() <= kLongest, "[tokenizer] {}: piece {} has {} bytes, at most {} are read",
                       path, id, wire.bytes.size(), kLongest);
      piece = wire.bytes;
    } else if (wire.field == 2 && wire.type == 5) {
      const float score = std::bit_cast<float>(word_at(wire.bytes, 0));
      check<DataError>(std::isfinite(score), "[tokenizer] {}: the score of piece {} is {}", path, id, score);
    } else if (wire.field == 3 && wire.type == 0) {
      check<DataError>(wire.value >= 1 && wire.value <= 6, "[tokenizer] {}: piece {} has type {}, expected 1 to 6",
                       path, id, wire.value);
      type = static_cast<SentencePieceFacts::Type>(wire.value);
    }
  }
  check<DataError>(!piece.empty(), "[tokenizer] {}: piece {} is empty", path, id);
  check<DataError>(static_cast<int64_t>(id) < kLargestVocabulary, "[tokenizer] {}: more than {} pieces", path,
                   kLargestVocabulary);
  facts.pieces.push_back(std::move(piece));
  facts.types.push_back(type);
}

void read_trainer(std::string_view message, const std::string& path, SentencePieceFacts& facts) {
  Wire wire(message, path);
  while (wire.next()) {
    if (wire.type != 0) continue;
    if (wire.field == 3) {
      check<DataError>(wire.value == 1 || wire.value == 2,
                       "[tokenizer] {}: model type {}, expected 1 (unigram) or 2 (bpe)", path, wire.value);
    }
    if (wire.field == 24) facts.blank_as_suffix = wire.value != 0;
    if (wire.field == 35) facts.byte_fallback = wire.value != 0;
  }
}

void read_normalizer(std::string_view message, const std::string& path, SentencePieceFacts* facts) {
  Wire wire(message, path);
  while (wire.next()) {
    if (wire.field == 2 && wire.type == 2) {
      check_character_map(wire.bytes, path);
      if (facts) facts->normalizes = !wire.bytes.empty();
    }
    if (!facts || wire.type != 0) continue;
    if (wire.field == 3) facts->dummy_prefix = wire.value != 0;
    if (wire.field == 4) facts->removes_blanks = wire.value != 0;
    if (wire.field == 5) facts->escapes_blanks = wire.value != 0;
  }
}

void check_pieces(const std::string& path, SentencePieceFacts& facts) {
  using Type = SentencePieceFacts::Type;
  check<DataError>(!facts.pieces.empty(), "[tokenizer] {} is no SentencePiece model: it has no pieces", path);
  std::unordered_map<std::string_view, size_t> ids;
  int64_t unknown = 0;
  facts.byte_ids.fill(-1);
  for (size_t id = 0; id < facts.pieces.size(); ++id) {
    const std::string& piece = facts.pieces[id];
    const auto [first, fresh] = ids.emplace(piece, id);
    check<DataError>(fresh, "[tokenizer] {}: piece \"{}\" has two ids, {} and {}", path, piece.substr(0, 40),
                     first->second, id);
    unknown += facts.types[id] == Type::kUnknown;
    if (facts.types[id] != Type::kByte) continue;
    unsigned byte = 256;
    for (unsigned b = 0; b < 256; ++b) {
      if (piece == fmt::format("<0x{:02X}>", b)) byte = b;
    }
    check<DataError>(byte < 256, "[tokenizer] {}: byte piece {} is \"{}\"", path, id, piece.substr(0, 40));
    facts.byte_ids[byte] = static_cast<int32_t>(id);
  }
  check<DataError>(unknown == 1, "[tokenizer] {}: {} unknown pieces, expected 1", path, unknown);
  for (unsigned b = 0; facts.byte_fallback && b < 256; ++b) {
    check<DataError>(facts.byte_ids[b] >= 0, "[tokenizer] {}: byte fallback without a piece <0x{:02X}>", path, b);
  }
}

}  // namespace

SentencePieceFacts check_sentencepiece_model(std::string_view bytes, const std::string& path) {
  SentencePieceFacts facts;
  Wire wire(bytes, path);
  while (wire.next()) {
    if (wire.type != 2) continue;
    switch (wire.field) {
      case 1:
        read_piece(wire.bytes, path, facts);
        break;
      case 2:
        read_trainer(wire.bytes, path, facts);
        break;
      case 3:
        read_normalizer(wire.bytes, path, &facts);
        break;
      case 5:
        read_normalizer(wire.bytes, path, nullptr);
        break;
      default:
        break;
    }
  }
  check_pieces(path, facts);
  return facts;
}

}  // namespace longhaul::data
