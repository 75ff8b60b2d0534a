#include "data/shards/prepare.h"

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "data/corpus/byte_stream.h"
#include "data/corpus/documents.h"
#include "data/corpus/paths.h"
#include "data/shards/manifest.h"
#include "data/shards/writer.h"
#include "data/text/unicode.h"
#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/base/log.h"

namespace longhaul::data {
namespace {

using Json = nlohmann::json;

struct Input {
  const DataEntry* entry;
  std::string path;
};

std::vector<Input> inputs_of(const std::vector<DataEntry>& entries) {
  std::vector<Input> inputs;
  for (const DataEntry& entry : entries) {
    for (std::string& path : expand_paths(entry.path)) inputs.push_back({&entry, std::move(path)});
  }
  return inputs;
}

/// Hash of everything that decides the shards' content; a file counts with its path, size, time and both ends.
std::string key_of(const std::vector<Input>& inputs, const std::vector<FileMark>& marks, const Tokenizer& tokenizer,
                   const CorpusOptions& options, const PrepareLimits& limits) {
  Json key = {{"version", 1},
              {"tokenizer", tokenizer.hash_hex()},
              {"invalid_utf8", static_cast<int>(options.invalid_utf8)},
              {"words", static_cast<int>(options.words)},
              {"shard_tokens", limits.shard_tokens}};
  if (limits.every_row) key["every_row"] = true;
  std::string text = key.dump();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const DataEntry& entry = *inputs[i].entry;
    const FileMark& mark = marks[i];
    text += fmt::format("\n{}:{} {} {} {} {} {} {}:{}", mark.path.size(), mark.path, mark.size, mark.modified_ns,
                        mark.ends, units::format_percent_range(entry.part), static_cast<int>(entry.document),
                        entry.text.size(), entry.text);
  }
  return sha256_hex(text).substr(0, 32);
}

/// Encodes documents and writes them to shards of bounded size.
class Tokeniser final : public DocumentSink {
 public:
  Tokeniser(std::string folder, const Tokenizer& tokenizer, const CorpusOptions& options, const PrepareLimits& limits)
      : folder_(std::move(folder)), tokenizer_(tokenizer), limits_(limits), counter_(options.words) {}

  void text(std::string_view piece) override {
    counter_.write(piece);
    buffer_.append(piece);
    if (buffer_.size() >= next_try_) encode(false);
  }

  void begin_file(const Input& input) {
    input_ = &input;
    rows_ = 0;
  }

  void end_document() override {
    encode(true);
    const TextCounts counts = counter_.finish();
    ++rows_;
    if (document_tokens_ == 0) {
      check<DataError>(!limits_.every_row, "[data] {}: row {} has nothing in column \"{}\"", input_->path, rows_,
                       input_->entry->text.empty() ? "text" : input_->entry->text);
      ++empty_;
      return;
    }
    if (tokenizer_.special().end >= 0) write_ids({tokenizer_.special().end});
    writer_->end_document(counts);
    document_tokens_ = 0;
    if (writer_->written() >= limits_.shard_tokens) close_shard();
  }

  void close_shard() {
    if (!writer_) return;
    headers_.push_back(writer_->finish(tokenizer_.lossless() && encoded_.unknown == 0 && !replaced_));
    writer_.reset();
  }

  void set_replaced() { replaced_ = true; }
  int64_t unknown() const { return encoded_.unknown; }
  int64_t empty() const { return empty_; }
  const std::vector<ShardHeader>& headers() const { return headers_; }
  std::string shard_name(size_t index) const { return fmt::format("{:05}.shard", index); }

 private:
  static constexpr size_t kTry = 1 << 18;  // bytes collected before the tokenizer is asked

  void encode(bool last) {
    encoded_.ids.clear();
    const size_t used = tokenizer_.encode_front(buffer_, last, encoded_);
    buffer_.erase(0, used);
    next_try_ = buffer_.size() + std::max(kTry, buffer_.size());  // doubling, so that waiting for a break stays linear
    write_ids(encoded_.ids);
  }

  void write_ids(const std::vector<int32_t>& ids) {
    if (ids.empty()) return;
    if (!writer_) {
      writer_ = std::make_unique<ShardWriter>(folder_ + "/" + shard_name(headers_.size()), tokenizer_,
                                              tokenizer_.special().end >= 0);
    }
    writer_->tokens(ids);
    document_tokens_ += static_cast<int64_t>(ids.size());
  }

  std::string folder_;
  const Tokenizer& tokenizer_;
  PrepareLimits limits_;
  TextCounter counter_;
  std::string buffer_;
  size_t next_try_ = kTry;
  EncodedText encoded_;
  std::unique_ptr<ShardWriter> writer_;
  std::vector<ShardHeader> headers_;
  int64_t document_tokens_ = 0;
  int64_t empty_ = 0;
  bool replaced_ = false;
  const Input* input_ = nullptr;
  int64_t rows_ = 0;  // of this file
};

void tokenise(const std::vector<Input>& inputs, const Tokenizer& tokenizer, const CorpusOptions& options,
              const PrepareLimits& limits, Prepared& out) {
  Tokeniser sink(out.folder, tokenizer, options, limits);
  for (size_t i = 0; i < inputs.size(); ++i) {
    FileReading reading;
    sink.begin_file(inputs[i]);
    try {
      reading = read_documents(*inputs[i].entry, inputs[i].path, options.invalid_utf8, sink);
    } catch (const DataError& error) {
      const std::string_view message = error.what();
      if (!message.starts_with("[tokenizer]")) throw;
      throw DataError(
          fmt::format("[data] {}:{}", inputs[i].path, message.substr(std::string_view("[tokenizer]").size())));
    }
    check<DataError>(reading.mark.size == out.files[i].size && reading.mark.ends == out.files[i].ends,
                     "[data] {} changed while it was read", inputs[i].path);
    out.files[i] = reading.mark;
    out.replaced_bytes += reading.replaced_bytes;
    if (reading.replaced_bytes > 0) sink.set_replaced();
  }
  sink.close_shard();
  out.unknown_tokens = sink.unknown();
  out.empty_documents = sink.empty();
  out.fidelity = out.unknown_tokens || out.replaced_bytes ? Fidelity::kLossy : tokenizer.fidelity();
  for (size_t i = 0; i < sink.headers().size(); ++i) {
    out.shards.push_back({sink.shard_name(i), static_cast<int64_t>(shard_file_size(sink.headers()[i])),
                          sha256_hex(encode_header(sink.headers()[i]))});
  }
}

/// Takes away what is still under the temporary name, however the work ends; once it is renamed there is nothing.
struct Unfinished {
  std::string folder;
  ~Unfinished() {
    try {
      io::remove_all(folder);
    } catch (const std::exception&) {
      // What made the work end matters more.
    }
  }
};

}  // namespace

std::string default_cache_folder() {
  const auto set = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  if (const std::string own = set("LONGHAUL_CACHE"); !own.empty()) return own;
  if (const std::string xdg = set("XDG_CACHE_HOME"); !xdg.empty()) return xdg + "/longhaul";
  const std::string home = set("HOME");
  check<ConfigError>(!home.empty(),
                     "[data] no place for token shards: LONGHAUL_CACHE, XDG_CACHE_HOME and HOME are unset\n"
                     "  hint: set LONGHAUL_CACHE to a folder");
  return home + "/.cache/longhaul";
}

CorpusOptions resolved(const CorpusOptions& options, const Tokenizer& tokenizer) {
  CorpusOptions out = options;
  if (out.invalid_utf8 == InvalidUtf8::kAuto) {
    out.invalid_utf8 = tokenizer.takes_any_bytes() ? InvalidUtf8::kKeep : InvalidUtf8::kError;
  }
  check<DataError>(out.invalid_utf8 != InvalidUtf8::kKeep || tokenizer.takes_any_bytes(),
                   "[data] invalid_utf8: keep needs a tokenizer that takes any bytes; {} needs UTF-8",
                   name_of(tokenizer.kind()));
  if (out.words == WordCount::kAuto) {
    out.words = tokenizer.kind() == TokenizerKind::kWord ? WordCount::kWordsAndLines : WordCount::kWords;
  }
  return out;
}

Prepared prepare_split(const std::string& name, const std::vector<DataEntry>& entries, const Tokenizer& tokenizer,
                       const CorpusOptions& options, const std::string& cache, const PrepareLimits& limits) {
  check<DataError>(!entries.empty(), "[data] {} has no entry", name);
  const CorpusOptions policy = resolved(options, tokenizer);
  const std::vector<Input> inputs = inputs_of(entries);
  Prepared out;
  for (const Input& input : inputs) out.files.push_back(mark_file(input.path));
  out.key = key_of(inputs, out.files, tokenizer, policy, limits);
  out.tokenizer_hash = tokenizer.hash_hex();
  const std::string folder = cache + "/" + out.key;
  if (auto found = open_prepared(folder)) return *found;

  io::make_folders(cache);
  const Unfinished unfinished{fmt::format("{}.tmp-{}", folder, ::getpid())};
  out.folder = unfinished.folder;
  io::remove_all(out.folder);
  io::make_folder(out.folder);
  tokenise(inputs, tokenizer, policy, limits, out);
  check<DataError>(!out.shards.empty(),
                   "[data] {} holds no text: {} {} without any\n"
                   "  hint: give files that hold text, or a larger part of them",
                   name, inputs.size(),
                   inputs.size() == 1 ? "file (" + inputs[0].path + ")" : "files, the first " + inputs[0].path + ",");
  io::write_new_file(out.folder + "/manifest.json", manifest_text(out));
  io::sync_folder(out.folder);
  try {
    io::rename(out.folder, folder);
  } catch (const IoError&) {
    if (auto found = open_prepared(folder)) return *found;  // another process was faster
    throw;
  }
  io::sync_folder(cache);
  out.folder = folder;
  if (out.empty_documents > 0) log::info("[data] {}: {} empty documents left out", name, out.empty_documents);
  if (out.replaced_bytes > 0)
    log::warn("[data] {}: {} bytes that are no UTF-8 replaced by U+FFFD", name, out.replaced_bytes);
  return out;
}

}  // namespace longhaul::data
