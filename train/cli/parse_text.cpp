#include <CLI/CLI.hpp>

#include "train/cli/flags.h"
#include "train/cli/parsers.h"

namespace longhaul::cli {
namespace {

using Kinds = std::vector<std::pair<std::string, data::TokenizerKind>>;
const Kinds kKinds = {{"byte", data::TokenizerKind::kByte},
                      {"char", data::TokenizerKind::kChar},
                      {"word", data::TokenizerKind::kWord},
                      {"bpe", data::TokenizerKind::kBpe},
                      {"sentencepiece", data::TokenizerKind::kSentencePiece}};

// How a tokenizer is trained.
void training_flags(CLI::App& app, data::TokenizerOptions& o) {
  using data::SentencePieceModel;
  choice_flag<data::TokenizerKind>(app, "--kind", o.kind, kKinds, "kind of tokenizer");
  whole_flag(app, "--offset", o.offset, 0, "byte: id of byte 0");
  switch_flag(app, "--unknown", o.unknown, "char: an id for characters outside the vocabulary");
  whole_flag(app, "--vocab-size", o.vocabulary_size, 1, "ids of a tokenizer to train",
             "all of char and word; bpe and sentencepiece need it");
  choice_flag<SentencePieceModel>(app, "--model-type", o.model,
                                  {{"unigram", SentencePieceModel::kUnigram}, {"bpe", SentencePieceModel::kBpe}},
                                  "sentencepiece: how pieces are chosen");
  number_flag(app, "--character-coverage", o.character_coverage, 0, 1,
              "sentencepiece: share of characters with an own piece; the rest becomes bytes");
}

// Which tokenizer reads a corpus.
void tokenizer_flags(CLI::App& app, DataOptions& o) {
  text_flag(app, "--tokenizer", o.tokenizer.path, "PATH", "a tokenizer's file or folder, or a MODEL")
      ->default_str("bytes");
  std::vector<std::string> words = {"auto"};
  for (const auto& [word, kind] : kKinds) words.push_back(word);
  const auto take = [&o](size_t i) {
    o.any_kind = i == 0;
    o.tokenizer.kind = i == 0 ? data::TokenizerKind::kByte : kKinds[i - 1].second;
  };
  word_flag(app, "--kind", words, "auto", take,
            "what it is; auto asks the tokenizer itself, a plain list of words or characters needs word or char");
  whole_flag(app, "--offset", o.tokenizer.offset, 0, "bytes: id of byte 0");
}

// The input of a command that takes it as an argument or from a file.
void require_one(const CLI::Option& given, const CLI::Option& file) {
  if (given.count() == 0 && file.count() == 0) {
    throw CLI::RequiredError(given.get_single_name() + " or --" + file.get_single_name());
  }
}

void json_of_all(CLI::App& app, bool& json) {
  for (CLI::App* part : app.get_subcommands([](const CLI::App*) { return true; })) json_flag(*part, json);
}

}  // namespace

void parse_tokenizer(CLI::App& app, TokenizerOptions& o) {
  using Action = TokenizerOptions::Action;
  app.description("Vocabularies: bytes, characters, words, byte-level BPE, SentencePiece.");
  example(app, "longhaul tokenizer train --kind char --data book.txt --out tokenizer");
  app.require_subcommand(1);
  CLI::App& train = *app.add_subcommand("train", "Make a tokenizer from text.");
  train.callback([&o] { o.action = Action::kTrain; });
  train.add_option("--data", o.data.paths, "files, folders or globs")->type_name("PATH...")->required();
  text_flag(train, "--out", o.out, "DIR", "folder to write")->required();
  training_flags(train, o.make);
  text_flags(train, o.data);
  example(train, "longhaul tokenizer train --kind bpe --vocab-size 8000 --data corpus.txt --out tokenizer");

  CLI::App& encode = *app.add_subcommand("encode", "Text to ids, separated by blanks.");
  argument(encode, "TOKENIZER", o.path, "a tokenizer's file or folder, or a MODEL");
  CLI::Option* text = encode.add_option("TEXT", o.text, "text to encode")->type_name("");
  CLI::Option* file = text_flag(encode, "--file", o.file, "FILE", "encode this file; - is standard input");
  file->excludes(text);
  encode.callback([&o, text, file] {
    o.action = Action::kEncode;
    require_one(*text, *file);
  });
  example(encode, "longhaul tokenizer encode tokenizer \"Call me Ishmael.\"");

  CLI::App& decode = *app.add_subcommand("decode", "Ids to text.");
  argument(decode, "TOKENIZER", o.path, "a tokenizer's file or folder, or a MODEL");
  CLI::Option* ids = decode.add_option("IDS", o.ids, "ids to decode")->type_name("");
  CLI::Option* list = text_flag(decode, "--file", o.file, "FILE", "decode the ids of this file; - is standard input");
  list->excludes(ids);
  decode.callback([&o, ids, list] {
    o.action = Action::kDecode;
    require_one(*ids, *list);
  });
  example(decode, "longhaul tokenizer decode tokenizer 67 97 108 108");

  CLI::App& info = *app.add_subcommand("info", "Kind, size, special ids and hash of a tokenizer.");
  info.callback([&o] { o.action = Action::kInfo; });
  argument(info, "TOKENIZER", o.path, "a tokenizer's file or folder, or a MODEL");
  example(info, "longhaul tokenizer info runs/quickstart");
  json_of_all(app, o.json);
}

void parse_data(CLI::App& app, DataOptions& o) {
  using Action = DataOptions::Action;
  using data::InvalidUtf8;
  app.description("Text, gzip, zstd, JSON lines and TSV to token shards; statistics and checks of a corpus.");
  example(app, "longhaul data info corpus/");
  app.require_subcommand(1);
  CLI::App& prepare = *app.add_subcommand("prepare", "Tokenise a corpus into one shard.");
  prepare.callback([&o] { o.action = Action::kPrepare; });
  arguments(prepare, "PATH", o.data.paths, "files, folders or globs");
  text_flag(prepare, "--out", o.out, "FILE.shard", "shard to write")->required();
  example(prepare, "longhaul data prepare corpus/*.txt.gz --tokenizer tokenizer --out corpus.shard");

  CLI::App& info = *app.add_subcommand("info", "Files, documents, bytes, characters, words and tokens of a corpus.");
  info.callback([&o] { o.action = Action::kInfo; });
  arguments(info, "PATH", o.data.paths, "files, folders or globs; .shard too");
  example(info, "longhaul data info corpus/ --document blank_line");
  for (CLI::App* part : {&prepare, &info}) {
    tokenizer_flags(*part, o);
    text_flags(*part, o.data);
    choice_flag<InvalidUtf8>(*part, "--invalid-utf8", o.invalid_utf8,
                             {{"auto", InvalidUtf8::kAuto},
                              {"error", InvalidUtf8::kError},
                              {"replace", InvalidUtf8::kReplace},
                              {"keep", InvalidUtf8::kKeep}},
                             "bytes that are no UTF-8; auto keeps them for byte-level tokenizers, else refuses them");
  }
  json_of_all(app, o.json);
}

void parse_config(CLI::App& app, ConfigOptions& o) {
  using Action = ConfigOptions::Action;
  app.description("Look at a configuration, check it, or read about its keys.");
  example(app, "longhaul config check configs/quickstart.yaml");
  app.require_subcommand(1);
  CLI::App& show = *app.add_subcommand("show", "Print every key with its value.");
  show.callback([&o] { o.action = Action::kShow; });
  argument(show, "CONFIG", o.config, "YAML file");
  set_flag(show, o.set);
  switch_flag(show, "--origin", o.origin, "a table that says where each value came from");
  json_flag(show, o.json);
  example(show, "longhaul config show configs/quickstart.yaml --origin");

  CLI::App& check = *app.add_subcommand("check", "Validate only; every mistake is reported at once.");
  check.callback([&o] { o.action = Action::kCheck; });
  argument(check, "CONFIG", o.config, "YAML file");
  set_flag(check, o.set);
  switch_flag(check, "--data", o.data, "also find and open the files it names");
  json_flag(check, o.json);
  example(check, "longhaul config check configs/quickstart.yaml --data");

  CLI::App& explain = *app.add_subcommand("explain", "Print the documentation of a key, a section, or of all keys.");
  explain.callback([&o] { o.action = Action::kExplain; });
  explain.add_option("KEY", o.key, "key or section; without one: all, as a Markdown page")->type_name("");
  example(explain, "longhaul config explain train.optimizer.learning_rate");

  CLI::App& schema = *app.add_subcommand("schema", "Print a JSON Schema of all keys, for editors.");
  schema.callback([&o] { o.action = Action::kSchema; });
  example(schema, "longhaul config schema > longhaul.schema.json");
}

}  // namespace longhaul::cli
