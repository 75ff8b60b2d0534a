#include "data/shards/format.h"

#include <algorithm>
#include <cstring>

#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr std::string_view kMagic = "LHSHARD1";
constexpr size_t kUsed = 156;  // bytes of the header that carry fields

template <typename T>
void put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
}

template <typename T>
T take(std::string_view bytes, size_t& at) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  at += sizeof(T);
  return static_cast<T>(value);
}

uint64_t round_up(uint64_t value) { return (value + 63) / 64 * 64; }

}  // namespace

uint32_t token_bytes_for(int64_t vocabulary_size) {
  return vocabulary_size <= 256 ? 1 : vocabulary_size <= 65535 ? 2 : 4;
}

void lay_out(ShardHeader& header) {
  header.tokens_offset = kShardHeaderBytes;
  header.table_offset = round_up(header.tokens_offset + header.tokens * header.token_bytes);
  header.meta_offset = header.table_offset + 8 * (header.documents + 1);
}

uint64_t shard_file_size(const ShardHeader& header) {
  if (header.meta_offset == 0) return header.table_offset + 8 * (header.documents + 1);
  return header.meta_offset + 24 * header.documents;
}

std::string encode_header(const ShardHeader& header) {
  std::string out(kMagic);
  put(out, kShardVersion);
  put(out, header.token_bytes);
  put(out, header.tokens);
  put(out, header.documents);
  put(out, header.tokens_offset);
  put(out, header.table_offset);
  put(out, header.meta_offset);
  put(out, header.source_bytes);
  put(out, header.source_characters);
  put(out, header.source_words);
  out.append(reinterpret_cast<const char*>(header.tokenizer.data()), header.tokenizer.size());
  out.append(reinterpret_cast<const char*>(header.content.data()), header.content.size());
  put(out, header.eos);
  put(out, header.bos);
  put(out, header.flags);
  out.resize(kShardHeaderBytes, '\0');
  return out;
}

ShardHeader decode_header(std::string_view bytes, uint64_t file_size, const std::string& path) {
  check<DataError>(bytes.size() == kShardHeaderBytes && file_size >= kShardHeaderBytes,
                   "[data] {}: {} bytes are too few for a token shard's header of {}", path, file_size,
                   kShardHeaderBytes);
  check<DataError>(bytes.starts_with(kMagic), "[data] {} is no token shard: it does not begin with {}", path, kMagic);
  size_t at = kMagic.size();
  const auto version = take<uint32_t>(bytes, at);
  check<DataError>(version == kShardVersion, "[data] {}: token shard of version {}, this build reads version {}", path,
                   version, kShardVersion);
  ShardHeader h;
  h.token_bytes = take<uint32_t>(bytes, at);
  h.tokens = take<uint64_t>(bytes, at);
  h.documents = take<uint64_t>(bytes, at);
  h.tokens_offset = take<uint64_t>(bytes, at);
  h.table_offset = take<uint64_t>(bytes, at);
  h.meta_offset = take<uint64_t>(bytes, at);
  h.source_bytes = take<uint64_t>(bytes, at);
  h.source_characters = take<uint64_t>(bytes, at);
  h.source_words = take<uint64_t>(bytes, at);
  std::memcpy(h.tokenizer.data(), bytes.data() + at, h.tokenizer.size());
  at += h.tokenizer.size();
  std::memcpy(h.content.data(), bytes.data() + at, h.content.size());
  at += h.content.size();
  h.eos = take<int32_t>(bytes, at);
  h.bos = take<int32_t>(bytes, at);
  h.flags = take<uint32_t>(bytes, at);

  check<DataError>(h.token_bytes == 1 || h.token_bytes == 2 || h.token_bytes == 4,
                   "[data] {}: tokens of {} bytes, expected 1, 2 or 4", path, h.token_bytes);
  check<DataError>((h.flags & ~(kShardEndsDocuments | kShardLossless)) == 0, "[data] {}: unknown flags {:#x}", path,
                   h.flags);
  check<DataError>(std::all_of(bytes.begin() + kUsed, bytes.end(), [](char byte) { return byte == 0; }),
                   "[data] {}: the unused part of the header is not zero", path);
  check<DataError>(h.eos >= -1 && h.bos >= -1 && (h.eos >= 0 || !(h.flags & kShardEndsDocuments)),
                   "[data] {}: end id {} and begin id {}", path, h.eos, h.bos);
  // Bounds before any sum, so that none wraps.
  check<DataError>(h.tokens <= file_size / h.token_bytes && h.documents < file_size / 8,
                   "[data] {}: {} tokens in {} documents do not fit {} bytes", path, h.tokens, h.documents, file_size);
  ShardHeader expected = h;
  lay_out(expected);
  if (h.meta_offset == 0) expected.meta_offset = 0;
  check<DataError>(h.tokens_offset == expected.tokens_offset && h.table_offset == expected.table_offset &&
                       h.meta_offset == expected.meta_offset,
                   "[data] {}: sections at {}, {}, {}, expected {}, {}, {}", path, h.tokens_offset, h.table_offset,
                   h.meta_offset, expected.tokens_offset, expected.table_offset, expected.meta_offset);
  check<DataError>(shard_file_size(h) == file_size,
                   "[data] {} has {} bytes, its header describes {}: the file is cut off or was changed", path,
                   file_size, shard_file_size(h));
  return h;
}

}  // namespace longhaul::data
