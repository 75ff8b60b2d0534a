#include "train/commands/data.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "data/corpus/paths.h"
#include "data/dataset.h"
#include "data/shards/prepare.h"
#include "data/shards/shard_file.h"
#include "framework/base/error.h"
#include "framework/base/interrupt.h"
#include "framework/base/io.h"
#include "train/commands/open_model.h"
#include "train/trainer/signals.h"

namespace longhaul::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

std::shared_ptr<const data::Tokenizer> tokenizer_of(const DataOptions& options) {
  const data::TokenizerOptions& wanted = options.tokenizer;
  if (options.any_kind && !wanted.path.empty()) return open_tokenizer(wanted.path);
  check<ConfigError>(wanted.kind == data::TokenizerKind::kByte || !wanted.path.empty(),
                     "[data] a {} tokenizer is needed as a file\n  hint: longhaul tokenizer train makes one, then give "
                     "--tokenizer PATH",
                     data::name_of(wanted.kind));
  return data::load_tokenizer(wanted);
}

/// Removes a folder when the scope ends.
struct Cleanup {
  io::Path folder;
  ~Cleanup() {
    try {
      io::remove_all(folder);
    } catch (const std::exception&) {  // left-overs of a scratch folder do no harm
    }
  }
};

int prepare(const DataOptions& options, Console& console) {
  check<ConfigError>(options.out.ends_with(".shard"),
                     "[data] prepare writes a token shard: \"{}\" does not end in .shard\n  hint: --out corpus.shard",
                     options.out);
  check<ConfigError>(!io::exists(options.out), "[data] {} exists already\n  hint: give another name, or delete it",
                     options.out);
  const auto tokenizer = tokenizer_of(options);
  data::CorpusOptions corpus;
  corpus.invalid_utf8 = options.invalid_utf8;
  const io::Path parent = io::parent_of(options.out);
  io::make_folders(parent);
  const Cleanup scratch{options.out + ".tmp-" + std::to_string(::getpid())};
  const data::Prepared prepared =
      data::prepare_split("data", options.data.entries(), *tokenizer, corpus, scratch.folder.string(),
                          {.shard_tokens = std::numeric_limits<int64_t>::max()});
  io::rename(io::Path(prepared.folder) / prepared.shards.at(0).name, options.out);
  io::sync_folder(parent);
  const auto shard = data::ShardFile::open(options.out, data::ShardFile::Verify::kContent);
  const data::ShardHeader& h = shard.header();
  if (options.json) {
    console.result(dump({{"shard", options.out},
                         {"tokens", h.tokens},
                         {"documents", h.documents},
                         {"empty_documents", prepared.empty_documents},
                         {"bytes", h.source_bytes},
                         {"characters", h.source_characters},
                         {"words", h.source_words},
                         {"unknown_tokens", prepared.unknown_tokens},
                         {"replaced_bytes", prepared.replaced_bytes},
                         {"lossless", (h.flags & data::kShardLossless) != 0},
                         {"tokenizer_sha256", to_hex(h.tokenizer)},
                         {"content_sha256", to_hex(h.content)}}));
  } else {
    console.result(fmt::format("{}: {} tokens in {} documents from {} bytes, {} characters, {} words", options.out,
                               h.tokens, h.documents, h.source_bytes, h.source_characters, h.source_words));
  }
  return 0;
}

/// What one token shard says, whatever its tokenizer.
Json describe_shard(const std::string& path) {
  const auto shard = data::ShardFile::open(path, data::ShardFile::Verify::kContent);
  const data::ShardHeader& h = shard.header();
  return {{"path", path},
          {"tokens", h.tokens},
          {"documents", h.documents},
          {"token_bytes", h.token_bytes},
          {"bytes", h.source_bytes},
          {"characters", h.source_characters},
          {"words", h.source_words},
          {"end_id", h.eos},
          {"lossless", (h.flags & data::kShardLossless) != 0},
          {"tokenizer_sha256", to_hex(h.tokenizer)},
          {"content_sha256", to_hex(h.content)}};
}

/// Statistics of text as a training run would see it.
Json describe_text(const DataOptions& options) {
  const auto tokenizer = tokenizer_of(options);
  data::DatasetOptions dataset;
  dataset.corpus.invalid_utf8 = options.invalid_utf8;
  const auto source = data::open_split("data", options.data.entries(), tokenizer, dataset);
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < source->documents(); ++i)
    lengths.push_back(source->document(i).end - source->document(i).begin);
  std::sort(lengths.begin(), lengths.end());
  int64_t on_disk = 0;
  for (const data::FileMark& mark : source->files()) on_disk += mark.size;
  const data::TextCounts total = source->total();
  return {{"files", source->files().size()},
          {"bytes_on_disk", on_disk},
          {"documents", source->documents()},
          {"bytes", total.bytes},
          {"characters", total.characters},
          {"words", total.words},
          {"tokenizer", data::name_of(tokenizer->kind())},
          {"tokens", source->tokens()},
          {"bytes_per_token", static_cast<double>(total.bytes) / static_cast<double>(source->tokens())},
          {"unknown_tokens", source->unknown_tokens()},
          {"replaced_bytes", source->replaced_bytes()},
          {"document_tokens",
           {{"shortest", lengths.front()}, {"median", lengths[lengths.size() / 2]}, {"longest", lengths.back()}}}};
}

std::string as_lines(const Json& json, const std::string& prefix = "") {
  std::string out;
  for (const auto& [name, value] : json.items()) {
    if (value.is_object()) {
      out += as_lines(value, prefix + name + ".");
    } else {
      out += fmt::format("{:<26} {}\n", prefix + name, value.is_string() ? value.get<std::string>() : dump(value));
    }
  }
  return out;
}

int info(const DataOptions& options, Console& console) {
  std::vector<std::string> shards;
  bool text = false;
  for (const std::string& path : options.data.paths) {
    for (const std::string& file : data::expand_paths(path)) {
      if (file.ends_with(".shard")) {
        shards.push_back(file);
      } else {
        text = true;
      }
    }
  }
  Json out;
  if (text || shards.empty()) {
    out = describe_text(options);
  } else {
    out["shards"] = Json::array();
    for (const std::string& path : shards) out["shards"].push_back(describe_shard(path));
  }
  if (options.json) {
    console.result(dump(out));
    return 0;
  }
  std::string lines;
  if (out.contains("shards")) {
    for (const Json& shard : out["shards"]) lines += as_lines(shard) + "\n";
    lines.pop_back();
  } else {
    lines = as_lines(out);
  }
  lines.pop_back();
  console.result(lines);
  return 0;
}

}  // namespace

int run_data(const DataOptions& options, Console& console) {
  const train::SignalScope signals;
  const Interruptible reading(train::stop_signal);
  return options.action == DataOptions::Action::kPrepare ? prepare(options, console) : info(options, console);
}

}  // namespace longhaul::cli
