#include "data/dataset.h"

#include <string_view>
#include <unordered_map>

#include "data/corpus/byte_stream.h"
#include "data/corpus/documents.h"
#include "data/corpus/paths.h"
#include "data/shards/prepare.h"
#include "data/shards/source.h"
#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/base/log.h"

namespace longhaul::data {
namespace {

constexpr int64_t kVerifyUpTo = int64_t{1} << 30;  // bytes of shards that are hashed whenever they are opened

std::shared_ptr<const TokenSource> open_text(const std::string& name, const std::vector<DataEntry>& entries,
                                             const std::shared_ptr<const Tokenizer>& tokenizer,
                                             const DatasetOptions& options) {
  const std::string cache = options.cache_folder.empty() ? default_cache_folder() : options.cache_folder;
  const Prepared prepared = prepare_split(name, entries, *tokenizer, options.corpus, cache, {.every_row = options.every_row});
  int64_t bytes = 0;
  for (const ShardNote& note : prepared.shards) bytes += note.bytes;
  const auto verify = bytes <= kVerifyUpTo ? ShardFile::Verify::kContent : ShardFile::Verify::kStructure;
  std::vector<ShardFile> shards;
  for (const ShardNote& note : prepared.shards) {
    shards.push_back(ShardFile::open(prepared.folder + "/" + note.name, verify));
    check<DataError>(sha256_hex(encode_header(shards.back().header())) == note.header_hash,
                     "[data] {} is not the shard its manifest describes", shards.back().path());
  }
  return open_shards(std::move(shards), tokenizer,
                     {prepared.fidelity, prepared.unknown_tokens, prepared.replaced_bytes, prepared.files});
}

std::shared_ptr<const TokenSource> open_given(const std::vector<std::string>& paths,
                                              const std::shared_ptr<const Tokenizer>& tokenizer) {
  std::vector<ShardFile> shards;
  SplitFacts facts;
  facts.fidelity = tokenizer->fidelity();
  for (const std::string& path : paths) {
    shards.push_back(ShardFile::open(path, ShardFile::Verify::kContent));
    if (tokenizer->lossless() && !(shards.back().header().flags & kShardLossless)) facts.fidelity = Fidelity::kLossy;
    if (!shards.back().has_counts()) facts.fidelity = Fidelity::kLossy;
    facts.files.push_back(mark_file(path));
    facts.files.back().content = to_hex(shards.back().header().content);
  }
  const auto source = open_shards(std::move(shards), tokenizer, std::move(facts));
  check<DataError>(source->tokens() > 0, "[data] {} holds no token", paths[0]);
  return source;
}

}  // namespace

TextCounts& TextCounts::operator+=(const TextCounts& other) {
  bytes += other.bytes;
  characters += other.characters;
  words += other.words;
  return *this;
}

TextCounts& TextCounts::operator-=(const TextCounts& other) {
  bytes -= other.bytes;
  characters -= other.characters;
  words -= other.words;
  return *this;
}

std::shared_ptr<const TokenSource> open_split(const std::string& name, const std::vector<DataEntry>& entries,
                                              std::shared_ptr<const Tokenizer> tokenizer,
                                              const DatasetOptions& options) {
  check<DataError>(!entries.empty(), "[data] {} has no entry\n  hint: give data.{} a file, folder or glob", name, name);
  std::vector<std::string> shards;
  bool text = false;
  for (const DataEntry& entry : entries) {
    for (const std::string& path : expand_paths(entry.path)) {
      if (!path.ends_with(".shard")) {
        text = true;
        continue;
      }
      check<DataError>(entry.part.all() && entry.document == DocumentMode::kFile && entry.text.empty(),
                       "[data] {}: a token shard is taken as a whole; part, document and text do not apply", path);
      shards.push_back(path);
    }
  }
  check<DataError>(
      shards.empty() || !text,
      "[data] {} mixes token shards ({}) with text\n  hint: prepare the text first (longhaul data prepare)", name,
      shards.empty() ? "" : shards[0]);
  return text ? open_text(name, entries, tokenizer, options) : open_given(shards, tokenizer);
}

TextSource corpus_text(const std::vector<DataEntry>& entries, const CorpusOptions& options) {
  CorpusOptions policy = options;
  if (policy.invalid_utf8 == InvalidUtf8::kAuto) policy.invalid_utf8 = InvalidUtf8::kError;
  return [entries, policy](const std::function<void(std::string_view)>& take) {
    struct Sink final : DocumentSink {
      explicit Sink(const std::function<void(std::string_view)>& t) : take(t) {}
      void text(std::string_view piece) override {
        if (!piece.empty()) take(piece);
      }
      void end_document() override { take({}); }
      const std::function<void(std::string_view)>& take;
    } sink(take);
    for (const DataEntry& entry : entries) {
      for (const std::string& path : expand_paths(entry.path)) {
        check<DataError>(!path.ends_with(".shard"), "[data] {}: a tokenizer is trained on text, this is a token shard",
                         path);
        read_documents(entry, path, policy.invalid_utf8, sink);
      }
    }
  };
}

std::vector<FileMark> mark_files(const std::vector<DataEntry>& entries) {
  std::vector<FileMark> marks;
  for (const DataEntry& entry : entries) {
    for (const std::string& path : expand_paths(entry.path)) marks.push_back(mark_file(path));
  }
  return marks;
}

void check_unchanged(const std::vector<FileMark>& before, const std::vector<FileMark>& now) {
  const auto by_path = [](const std::vector<FileMark>& marks) {
    std::unordered_map<std::string_view, const FileMark*> out;
    for (const FileMark& mark : marks) out.emplace(mark.path, &mark);
    return out;
  };
  const auto known = by_path(before), present = by_path(now);
  constexpr const char* kHint = "  hint: bring back the data the run began with, or start a new run";
  for (const FileMark& old : before) {
    const auto at = present.find(old.path);
    check<DataError>(at != present.end(), "[data] {} was part of the data when the run began and is missing now\n{}",
                     old.path, kHint);
    const FileMark* found = at->second;
    check<DataError>(found->size == old.size, "[data] {} changed since the run began: {} bytes then, {} now\n{}",
                     old.path, old.size, found->size, kHint);
    check<DataError>(found->ends == old.ends, "[data] {} changed since the run began: same size, other content\n{}",
                     old.path, kHint);
    if (found->modified_ns == old.modified_ns || old.content.empty() || old.path.ends_with(".shard")) continue;
    std::string content = found->content;
    if (content.empty()) data_errors([&] { content = sha256_hex_of_file(old.path); });
    check<DataError>(content == old.content,
                     "[data] {} changed since the run began: same size and ends, other content inside\n{}", old.path,
                     kHint);
    log::info("[data] {} has another time than when the run began, but the same content", old.path);
  }
  for (const FileMark& mark : now) {
    check<DataError>(known.contains(mark.path), "[data] {} was added to the data since the run began\n{}",
                     mark.path, kHint);
  }
}

}  // namespace longhaul::data
