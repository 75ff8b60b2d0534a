#include "data/shards/writer.h"

#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr size_t kBuffer = 1 << 20;

template <typename T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace

ShardWriter::ShardWriter(const std::string& path, const Tokenizer& tokenizer, bool ends_documents) : path_(path) {
  header_.token_bytes = token_bytes_for(tokenizer.vocabulary_size());
  header_.tokenizer = tokenizer.hash();
  header_.eos = tokenizer.special().end;
  header_.bos = tokenizer.special().begin;
  header_.flags = ends_documents ? kShardEndsDocuments : 0;
  tokens_ = io::File::create(path_ + ".tokens");
}

void ShardWriter::tokens(std::span<const int32_t> ids) {
  for (const int32_t id : ids) {
    for (uint32_t i = 0; i < header_.token_bytes; ++i)
      buffer_.push_back(static_cast<char>(static_cast<uint32_t>(id) >> (8 * i)));
  }
  header_.tokens += ids.size();
  if (buffer_.size() >= kBuffer) flush();
}

void ShardWriter::end_document(const TextCounts& counts) {
  if (header_.tokens == starts_.back()) return;
  starts_.push_back(header_.tokens);
  for (const int64_t value : {counts.bytes, counts.characters, counts.words})
    meta_.push_back(static_cast<uint64_t>(value));
  header_.source_bytes += static_cast<uint64_t>(counts.bytes);
  header_.source_characters += static_cast<uint64_t>(counts.characters);
  header_.source_words += static_cast<uint64_t>(counts.words);
}

void ShardWriter::flush() {
  hash_.update(buffer_);
  tokens_.write(buffer_);
  buffer_.clear();
}

ShardHeader ShardWriter::finish(bool lossless) {
  check<InternalError>(starts_.back() == header_.tokens, "a shard is finished inside a document");
  flush();
  tokens_.close();
  header_.documents = static_cast<uint64_t>(documents());
  if (lossless) header_.flags |= kShardLossless;
  lay_out(header_);
  const uint64_t token_bytes = header_.tokens * header_.token_bytes;
  const std::string padding(header_.table_offset - header_.tokens_offset - token_bytes, '\0');
  hash_.update(padding);
  hash_.update(bytes_of(starts_));
  hash_.update(bytes_of(meta_));
  header_.content = hash_.finish();

  io::File out = io::File::create(path_);
  out.write(encode_header(header_));
  const io::File in = io::File::open(path_ + ".tokens");
  std::vector<std::byte> block(kBuffer);
  for (uint64_t at = 0; at < token_bytes; at += block.size()) {
    const std::span<std::byte> part = std::span(block).first(std::min<uint64_t>(block.size(), token_bytes - at));
    in.read(at, part);
    out.write(part);
  }
  out.write(padding);
  out.write(bytes_of(starts_));
  out.write(bytes_of(meta_));
  out.sync();
  out.close();
  io::unlink(path_ + ".tokens");
  return header_;
}

}  // namespace longhaul::data
