#include "data/shards/shard_file.h"

#include <algorithm>
#include <bit>

#include "data/corpus/byte_stream.h"
#include "framework/base/error.h"

namespace longhaul::data {

static_assert(std::endian::native == std::endian::little, "token shards are read as they lie");

ShardFile ShardFile::open(const std::string& path, Verify verify) {
  ShardFile shard;
  shard.path_ = path;
  data_errors([&] {
    shard.file_ = io::File::open(path);
    shard.opened_ = io::info_followed(path);
    std::string header(std::min<uint64_t>(shard.opened_.size, kShardHeaderBytes), '\0');
    shard.file_.read(0, std::as_writable_bytes(std::span(header)));
    shard.header_ = decode_header(header, shard.opened_.size, path);
    shard.load_tables();
    if (verify == Verify::kContent) shard.verify_content();
  });
  return shard;
}

void ShardFile::load_tables() {
  starts_.resize(header_.documents + 1);
  file_.read(header_.table_offset, std::as_writable_bytes(std::span(starts_)));
  check<DataError>(
      starts_.front() == 0 && starts_.back() == header_.tokens && std::is_sorted(starts_.begin(), starts_.end()),
      "[data] {}: the document table does not rise from 0 to {} tokens", path_, header_.tokens);
  if (header_.meta_offset == 0) return;
  meta_.resize(3 * header_.documents);
  file_.read(header_.meta_offset, std::as_writable_bytes(std::span(meta_)));
  uint64_t sums[3] = {0, 0, 0};
  for (size_t i = 0; i < meta_.size(); ++i) sums[i % 3] += meta_[i];
  check<DataError>(
      sums[0] == header_.source_bytes && sums[1] == header_.source_characters && sums[2] == header_.source_words,
      "[data] {}: the documents' bytes, characters and words add to {}, {}, {}, the header says {}, {}, {}", path_,
      sums[0], sums[1], sums[2], header_.source_bytes, header_.source_characters, header_.source_words);
}

void ShardFile::verify_content() const {
  Sha256 hash;
  std::vector<std::byte> block(1 << 20);
  for (uint64_t at = kShardHeaderBytes; at < opened_.size; at += block.size()) {
    const std::span<std::byte> part = std::span(block).first(std::min<uint64_t>(block.size(), opened_.size - at));
    file_.read(at, part);
    hash.update(part);
  }
  check<DataError>(hash.finish() == header_.content,
                   "[data] {} is damaged: its content does not match the hash in its header\n"
                   "  hint: delete it (or the folder of the cache that holds it); it is made again from the text",
                   path_);
}

int64_t ShardFile::document_of(int64_t token) const {
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), static_cast<uint64_t>(token));
  return after - starts_.begin() - 1;
}

TextCounts ShardFile::counts(int64_t document) const {
  if (meta_.empty()) return {};
  const uint64_t* m = &meta_[3 * static_cast<size_t>(document)];
  return {static_cast<int64_t>(m[0]), static_cast<int64_t>(m[1]), static_cast<int64_t>(m[2])};
}

void ShardFile::read(int64_t begin, std::span<int32_t> into, int64_t vocabulary) const {
  check<InternalError>(begin >= 0 && begin + static_cast<int64_t>(into.size()) <= tokens(),
                       "tokens {} to {} of {} in {}", begin, begin + into.size(), tokens(), path_);
  const size_t width = header_.token_bytes;
  std::vector<std::byte> raw(into.size() * width);
  data_errors([&] {
    const io::Info now = io::info_followed(path_);
    check<DataError>(now.size == opened_.size && now.modified_ns == opened_.modified_ns,
                     "[data] {} was changed while it is in use: {} bytes when opened, {} now", path_, opened_.size,
                     now.size);
    file_.read(header_.tokens_offset + static_cast<uint64_t>(begin) * width, raw);
  });
  const auto* bytes = reinterpret_cast<const uint8_t*>(raw.data());
  uint32_t largest = 0;
  for (size_t i = 0; i < into.size(); ++i) {
    uint32_t id = bytes[i * width];
    if (width >= 2) id |= static_cast<uint32_t>(bytes[i * width + 1]) << 8;
    if (width == 4)
      id |= static_cast<uint32_t>(bytes[i * width + 2]) << 16 | static_cast<uint32_t>(bytes[i * width + 3]) << 24;
    into[i] = static_cast<int32_t>(id);
    largest = std::max(largest, id);
  }
  check<DataError>(into.empty() || static_cast<int64_t>(largest) < vocabulary,
                   "[data] {}: token id {} in a vocabulary of {}", path_, largest, vocabulary);
}

}  // namespace longhaul::data
