#include "train/cli/parsers.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "train/cli/help.h"

namespace longhaul::cli {
namespace {

// Parses words as the flags of one command.
template <typename Options>
Options parsed(void (*parse)(CLI::App&, Options&), std::vector<std::string> words) {
  CLI::App app("", "longhaul");
  Options options;
  parse(app, options);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  app.parse(words);
  return options;
}

template <typename Options>
std::string refusal(void (*parse)(CLI::App&, Options&), const std::vector<std::string>& words) {
  try {
    parsed(parse, words);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

TEST(Parsers, Train) {
  const TrainOptions plain = parsed(parse_train, {"run.yaml"});
  EXPECT_EQ(plain.config, "run.yaml");
  EXPECT_TRUE(plain.set.empty() && plain.run.empty() && plain.init_from.empty());
  EXPECT_FALSE(plain.fresh || plain.dry_run || plain.json || plain.strict);
  const TrainOptions full =
      parsed(parse_train, {"--set", "a.b=c", "run.yaml", "--set=d=[1,2]", "--run", "R", "--init-from", "M", "--fresh",
                           "--dry-run", "--profile", "5", "--json", "--strict"});
  EXPECT_EQ(full.config, "run.yaml");
  EXPECT_EQ(full.set, (std::vector<std::string>{"a.b=c", "d=[1,2]"}));
  EXPECT_EQ(full.run, "R");
  EXPECT_EQ(full.init_from, "M");
  EXPECT_EQ(full.profile, 5);
  EXPECT_TRUE(full.fresh && full.dry_run && full.json && full.strict);
  EXPECT_EQ(refusal(parse_train, {"run.yaml", "--profile", "x"}), "--profile = x: expected a whole number, 0 or more");
}

TEST(Parsers, Eval) {
  const EvalOptions o = parsed(
      parse_eval, {"M", "--data", "a.txt", "b*.txt", "--protocol", "strided", "--context", "4k", "--stride", "256",
                   "--per-token", "t.tsv", "--part", "90%..100%", "--document", "line", "--threads", "2", "--json"});
  EXPECT_EQ(o.model, "M");
  EXPECT_EQ(o.data.paths, (std::vector<std::string>{"a.txt", "b*.txt"}));
  EXPECT_EQ(o.protocol, Protocol::kStrided);
  EXPECT_EQ(o.context, 4000);
  EXPECT_EQ(o.stride, 256);
  EXPECT_EQ(o.per_token, "t.tsv");
  EXPECT_EQ(o.data.part, (PercentRange{90, 100}));
  EXPECT_EQ(o.data.document, data::DocumentMode::kLine);
  EXPECT_EQ(o.device.threads, 2);
  ASSERT_EQ(o.data.entries().size(), 2u);
  EXPECT_EQ(o.data.entries()[1].path, "b*.txt");
  EXPECT_EQ(refusal(parse_eval, {"M"}), "--data is required");
  EXPECT_EQ(refusal(parse_eval, {"M", "--data", "a", "--protocol", "stided"}),
            "--protocol = stided: expected one of auto, block, sliding, strided, memory; did you mean \"strided\"?");
  EXPECT_EQ(refusal(parse_eval, {"M", "--data", "a", "--part", "90"}),
            "--part = 90: expected a part of each file in percent, e.g. 90%..100%");
}

TEST(Parsers, Generate) {
  const GenerateOptions o = parsed(parse_generate, {"M", "--prompt", "To be", "--max-new", "5", "--temperature", "0",
                                                    "--top-k", "3", "--top-p", "0.9", "--beams", "2", "--seed", "7"});
  EXPECT_EQ(o.prompt, "To be");
  EXPECT_EQ(o.max_new, 5);
  EXPECT_EQ(o.temperature, 0);
  EXPECT_EQ(o.top_k, 3);
  EXPECT_EQ(o.top_p, 0.9);
  EXPECT_EQ(o.beams, 2);
  EXPECT_EQ(o.seed, 7);
  EXPECT_EQ(refusal(parse_generate, {"M", "--top-p", "1.5"}), "--top-p = 1.5: expected a number, 0 to 1");
  EXPECT_EQ(refusal(parse_generate, {"M", "--temperature", "-1"}), "--temperature = -1: expected a number, 0 to 1000");
  EXPECT_EQ(refusal(parse_generate, {"M", "--beams", "0"}), "--beams = 0: expected a whole number, 1 or more");
  EXPECT_NE(refusal(parse_generate, {"M", "--prompt", "a", "--prompt-file", "b"}), "");
}

TEST(Parsers, TokenizerActions) {
  using Action = TokenizerOptions::Action;
  const TokenizerOptions train = parsed(parse_tokenizer, {"train", "--kind", "bpe", "--vocab-size", "8k", "--data", "a",
                                                          "b", "--out", "T", "--model-type", "unigram"});
  EXPECT_EQ(train.action, Action::kTrain);
  EXPECT_EQ(train.make.kind, data::TokenizerKind::kBpe);
  EXPECT_EQ(train.make.vocabulary_size, 8000);
  EXPECT_EQ(train.data.paths.size(), 2u);
  const TokenizerOptions encode = parsed(parse_tokenizer, {"encode", "T", "some text"});
  EXPECT_EQ(encode.action, Action::kEncode);
  EXPECT_EQ(encode.path, "T");
  EXPECT_EQ(encode.text, "some text");
  const TokenizerOptions decode = parsed(parse_tokenizer, {"decode", "T", "1", "2", "3"});
  EXPECT_EQ(decode.action, Action::kDecode);
  EXPECT_EQ(decode.ids, (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(parsed(parse_tokenizer, {"info", "T", "--json"}).action, Action::kInfo);
  EXPECT_EQ(parsed(parse_tokenizer, {"encode", "T", ""}).text, "");
  EXPECT_EQ(parsed(parse_tokenizer, {"encode", "T", "--file", "-"}).file, "-");
  EXPECT_EQ(refusal(parse_tokenizer, {"encode", "T"}), "TEXT or --file is required");
  EXPECT_EQ(refusal(parse_tokenizer, {"decode", "T"}), "IDS or --file is required");
  EXPECT_NE(refusal(parse_tokenizer, {"encode", "T", "text", "--file", "f"}), "");
}

TEST(Parsers, DataActions) {
  const DataOptions prepare =
      parsed(parse_data, {"prepare", "a", "b", "--out", "x.shard", "--invalid-utf8", "replace"});
  EXPECT_EQ(prepare.action, DataOptions::Action::kPrepare);
  EXPECT_EQ(prepare.data.paths.size(), 2u);
  EXPECT_EQ(prepare.invalid_utf8, data::InvalidUtf8::kReplace);
  EXPECT_TRUE(prepare.any_kind);
  const DataOptions words = parsed(parse_data, {"info", "a", "--tokenizer", "T", "--kind", "word"});
  EXPECT_EQ(words.tokenizer.kind, data::TokenizerKind::kWord);
  EXPECT_FALSE(words.any_kind);
}

TEST(Parsers, BenchActions) {
  const BenchOptions attention =
      parsed(parse_bench, {"attention", "--pattern", "window:512", "--length", "16384", "--batch", "2", "--heads", "4",
                           "--head-dim", "32", "--dtype", "bf16", "--device", "cpu", "--json"});
  EXPECT_EQ(attention.action, BenchOptions::Action::kAttention);
  EXPECT_EQ(attention.pattern, "window:512");
  EXPECT_EQ(attention.length, 16384);
  EXPECT_EQ(attention.dtype, "bf16");
  const BenchOptions step = parsed(parse_bench, {"step", "c.yaml", "--set", "a=b", "--steps", "3"});
  EXPECT_EQ(step.action, BenchOptions::Action::kStep);
  EXPECT_EQ(step.target, "c.yaml");
  EXPECT_EQ(step.steps, 3);
  const BenchOptions generate = parsed(parse_bench, {"generate", "M", "--context", "64", "--new", "8"});
  EXPECT_EQ(generate.action, BenchOptions::Action::kGenerate);
  EXPECT_EQ(generate.fresh, 8);
}

TEST(Parsers, TheRest) {
  EXPECT_EQ(parsed(parse_plan, {"c.yaml", "--set", "a=b"}).set.size(), 1u);
  EXPECT_EQ(parsed(parse_replay, {"runs/a", "--step", "7"}).step, 7);
  EXPECT_EQ(parsed(parse_pattern, {"local", "--length", "64", "--out", "x.svg"}).length, 64);
  EXPECT_EQ(refusal(parse_pattern, {"local"}), "--length is required");
  const ParityOptions parity = parsed(parse_parity, {"a", "b", "--device", "reference", "--write", "o"});
  EXPECT_EQ(parity.folders.size(), 2u);
  EXPECT_EQ(parity.device, "reference");
  EXPECT_EQ(parsed(parse_check, {"--device", "cpu"}).device.device, "cpu");
  EXPECT_EQ(parsed(parse_import, {"a", "b"}).out, "b");
  EXPECT_EQ(parsed(parse_export, {"a", "b"}).model, "a");
  const CheckpointOptions prune = parsed(parse_checkpoint, {"prune", "R", "--keep", "3", "--dry-run"});
  EXPECT_EQ(prune.action, CheckpointOptions::Action::kPrune);
  EXPECT_EQ(prune.keep, 3);
  EXPECT_EQ(parsed(parse_checkpoint, {"diff", "A", "B"}).other, "B");
}

// Help of every command and its actions: description, every flag with a text, an example that starts with the program.
template <typename Options>
void expect_helpful(const char* name, void (*parse)(CLI::App&, Options&)) {
  CLI::App root("", "longhaul");
  CLI::App* app = root.add_subcommand(name);
  Options options;
  parse(*app, options);
  std::vector<CLI::App*> all = {app};
  for (CLI::App* part : app->get_subcommands([](const CLI::App*) { return true; })) all.push_back(part);
  for (const CLI::App* one : all) {
    EXPECT_FALSE(one->get_description().empty()) << name;
    EXPECT_TRUE(one->get_footer().starts_with(std::string("longhaul ") + name)) << name << ": " << one->get_footer();
    for (const CLI::Option* option : one->get_options()) {
      EXPECT_FALSE(option->get_description().empty()) << name << " " << option->get_name();
    }
    const std::string help = help_text(*one);
    EXPECT_NE(help.find("usage: longhaul " + std::string(name)), std::string::npos);
    EXPECT_NE(help.find("\nexample: "), std::string::npos);
  }
}

TEST(Parsers, HelpOfEveryCommandIsWhole) {
  expect_helpful("train", parse_train);
  expect_helpful("eval", parse_eval);
  expect_helpful("generate", parse_generate);
  expect_helpful("tokenizer", parse_tokenizer);
  expect_helpful("data", parse_data);
  expect_helpful("config", parse_config);
  expect_helpful("plan", parse_plan);
  expect_helpful("replay", parse_replay);
  expect_helpful("pattern", parse_pattern);
  expect_helpful("parity", parse_parity);
  expect_helpful("check", parse_check);
  expect_helpful("bench", parse_bench);
  expect_helpful("import", parse_import);
  expect_helpful("export", parse_export);
  expect_helpful("checkpoint", parse_checkpoint);
}

}  // namespace
}  // namespace longhaul::cli
