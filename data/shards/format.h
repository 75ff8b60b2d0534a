// defines: ShardHeader and its bytes
//
// *.shard, little endian (data spec 3.4):
//   bytes 0..4095   header, see encode_header; unused bytes are zero
//   tokens          n_tokens values of token_bytes, from tokens_offset (a multiple of 64)
//   document table  u64 [n_docs + 1]: the first token of each document, then n_tokens
//   document meta   u64 [n_docs, 3]: bytes, characters, words of each document's text (absent when its offset is 0)
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "framework/base/sha256.h"

namespace longhaul::data {

inline constexpr size_t kShardHeaderBytes = 4096;
inline constexpr uint32_t kShardVersion = 1;
inline constexpr uint32_t kShardEndsDocuments = 1;  // flag: each document ends with eos
inline constexpr uint32_t kShardLossless = 2;       // flag: decoding the tokens gives the text

struct ShardHeader {
  uint32_t token_bytes = 0;  // 1, 2 or 4
  uint64_t tokens = 0;
  uint64_t documents = 0;
  uint64_t tokens_offset = 0;
  uint64_t table_offset = 0;
  uint64_t meta_offset = 0;  // 0: no meta
  uint64_t source_bytes = 0;
  uint64_t source_characters = 0;
  uint64_t source_words = 0;
  Sha256::Digest tokenizer{};
  Sha256::Digest content{};  // of all bytes after the header
  int32_t eos = -1;
  int32_t bos = -1;
  uint32_t flags = 0;
};

/// 1 byte up to 256 ids, 2 up to 65,535, else 4.
uint32_t token_bytes_for(int64_t vocabulary_size);

/// Lays out a shard: tokens_offset, table_offset and meta_offset from the counts.
void lay_out(ShardHeader& header);
/// The length of the whole file that a header describes.
uint64_t shard_file_size(const ShardHeader& header);

std::string encode_header(const ShardHeader& header);  // kShardHeaderBytes long
/// Reads and checks the header of a file of `file_size` bytes; nothing in it can lead to a read outside the file.
/// throws DataError naming `path`
ShardHeader decode_header(std::string_view bytes, uint64_t file_size, const std::string& path);

}  // namespace longhaul::data
