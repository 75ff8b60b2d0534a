#include <gtest/gtest.h>

#include "models/local/options.h"
#include "tests/train/config/workspace.h"
#include "train/config/flatten.h"

namespace longhaul::config {
namespace {

TEST(LoadConfig, TheExtendingFileWinsAndTheCommandLineWinsOverIt) {
  Workspace space;
  space.write("bases/a.yaml", "train: {steps: 1, batch_size: 1, clip_norm: 0.5}\nmodel: {dim: 32}\n");
  space.write("bases/b.yaml", "extends: a.yaml\ntrain: {batch_size: 2}\n");
  space.write("c.yaml", "model: {dim: 64}\nrun: {seed: 7}\n");
  space.write("run.yaml", "extends: [bases/b.yaml, c.yaml]\ndata: {train: [x.txt]}\ntrain: {steps: 3}\n");
  const Loaded loaded = load_config("run.yaml", {"run.seed=9", "train.clip_norm=0"});
  EXPECT_EQ(loaded.config.train.steps, 3);
  EXPECT_EQ(loaded.config.train.batch_size, 2);
  EXPECT_EQ(loaded.config.train.clip_norm, 0);
  EXPECT_EQ(loaded.config.model.options->body.dim, 64);
  EXPECT_EQ(loaded.config.run.seed, 9);
  EXPECT_EQ(loaded.origin("train.batch_size"), "bases/b.yaml:2");
  EXPECT_EQ(loaded.origin("model.dim"), "c.yaml:1");
  EXPECT_EQ(loaded.origin("run.seed"), "--set run.seed=9");
  EXPECT_EQ(loaded.origin("model.layers"), "default");
  EXPECT_EQ(loaded.files, (std::vector<std::string>{"bases/a.yaml", "bases/b.yaml", "c.yaml", "run.yaml"}));
}

TEST(LoadConfig, PathsStartAtTheFileThatGivesThem) {
  Workspace space;
  space.write("deep/base.yaml", "data: {train: [texts/a.txt, /absolute/b.txt], valid: [../v.txt]}\n");
  space.write("run.yaml", "extends: deep/base.yaml\ntrain: {steps: 1}\n");
  const Loaded loaded = load_config("run.yaml", {"data.test=[t.txt]"});
  EXPECT_EQ(loaded.config.data.train[0].path, space.folder() + "/deep/texts/a.txt");
  EXPECT_EQ(loaded.config.data.train[1].path, "/absolute/b.txt");
  EXPECT_EQ(loaded.config.data.valid[0].path, space.folder() + "/v.txt");
  EXPECT_EQ(loaded.config.data.test[0].path, space.folder() + "/t.txt");
}

TEST(LoadConfig, EntriesAreTextsOrKeys) {
  const Config config = load_text(
                            "data:\n  train: [a.txt, {path: b.tsv, part: 10%..90%, document: line, text: body}]\n"
                            "  valid: c.txt\n  test: {path: d.txt, part: 0%..1%}\ntrain: {steps: 1}\n")
                            .config;
  ASSERT_EQ(config.data.train.size(), 2u);
  EXPECT_TRUE(config.data.train[0].part.all());
  EXPECT_EQ(config.data.train[1].part, (PercentRange{10, 90}));
  EXPECT_EQ(config.data.train[1].document, data::DocumentMode::kLine);
  EXPECT_EQ(config.data.train[1].text, "body");
  EXPECT_EQ(config.data.valid.size(), 1u);
  EXPECT_EQ(config.data.test[0].part, (PercentRange{0, 1}));
}

TEST(LoadConfig, VariablesExpandInValues) {
  setenv("LONGHAUL_TEST_A", "here", 1);
  setenv("LONGHAUL_TEST_EMPTY", "", 1);
  unsetenv("LONGHAUL_TEST_UNSET");
  const Config config = load_text(
                            "run: {name: 'x-${LONGHAUL_TEST_A}-$${kept}'}\n"
                            "data: {train: ['${LONGHAUL_TEST_UNSET:-/texts}/a.txt', '/b${LONGHAUL_TEST_EMPTY}']}\n"
                            "train:\n  steps: ${LONGHAUL_TEST_EMPTY:-12}\n")
                            .config;
  EXPECT_EQ(config.run.name, "x-here-${kept}");
  EXPECT_EQ(config.data.train[0].path, "/texts/a.txt");
  EXPECT_EQ(config.data.train[1].path, "/b");
  EXPECT_EQ(config.train.steps, 12);
}

TEST(LoadConfig, ValuesThatStandForARuleAreFilledIn) {
  const Config config = load_text(kLeast + "model: {dim: 96, heads: 6}\n").config;
  const models::BodyOptions& body = config.model.options->body;
  EXPECT_EQ(config.run.name, "run");
  EXPECT_EQ(body.head_dim, 16);
  EXPECT_EQ(body.kv_heads, 6);
  EXPECT_EQ(body.feedforward, 384);
  EXPECT_EQ(body.max_positions, 1024);
  EXPECT_EQ(body.form, models::Form::kDecoder);
}

TEST(LoadConfig, AFamilyBringsItsOwnKeys) {
  const Config config = load_text(kLeast + "model: {window: 64, local_kind: block, family: local}\n").config;
  const auto* local = dynamic_cast<const models::LocalOptions*>(config.model.options.get());
  ASSERT_NE(local, nullptr);
  EXPECT_EQ(local->window, 64);
  EXPECT_EQ(local->kind, models::LocalKind::kBlock);
}

TEST(LoadConfig, StagesStartFromTheModelAndStateWhatDiffers) {
  const Config config = load_text(
                            "data: {train: [a.txt]}\nmodel: {family: local, window: 32, dropout: 0.1}\n"
                            "train: {stages: [{steps: 5}, {steps: 6, sequence_length: 2048, model: {window: 64}}]}\n")
                            .config;
  const auto window = [&](size_t i) {
    return dynamic_cast<const models::LocalOptions&>(*config.train.stages[i].model).window;
  };
  EXPECT_EQ(window(0), 32);
  EXPECT_EQ(window(1), 64);
  EXPECT_EQ(config.train.stages[1].model->body.dropout, 0.1);
  EXPECT_EQ(config.model.options->body.max_positions, 2048);
}

TEST(LoadConfig, NullEmptiesATextAndLeavesASectionAsItIs) {
  Workspace space;
  space.write("base.yaml", kLeast + "run: {init_from: /somewhere}\n");
  space.write("run.yaml", "extends: base.yaml\nrun:\n  init_from:\nmodel:\n");
  const Loaded loaded = load_config("run.yaml");
  EXPECT_EQ(loaded.config.run.init_from, "");
}

TEST(LoadConfig, PeriodsAndSizesAreTyped) {
  const Config config =
      load_text(
          "data: {train: [a.txt]}\nmemory: {budget: 8GiB, chunk_loss: 512}\n"
          "train: {tokens: 50M, time: 10m, eval_every: 1Mtok, log_every: 0, checkpoint: {every: 2h}}\n")
          .config;
  EXPECT_EQ(config.memory.budget, int64_t{8} << 30);
  EXPECT_EQ(config.memory.chunk_loss, 512);
  EXPECT_EQ(config.train.tokens, 50000000);
  EXPECT_EQ(config.train.time, 600);
  EXPECT_EQ(config.train.eval_every, (Period{1e6, Period::Unit::kToken}));
  EXPECT_TRUE(config.train.log_every.off());
  EXPECT_EQ(config.train.checkpoint.every, (Period{7200, Period::Unit::kSecond}));
}

// What other YAML readers take to be something else is the text it looks like, because the key says so.
TEST(LoadConfig, TextsAreTakenAsWritten) {
  for (const char* text : {"no", "on", "012", "1e-4", "1_000", ".inf", "2024-01-01", "1:30", "true", "0x10", "'5'"}) {
    std::string plain = text;
    if (plain.front() == '\'') plain = plain.substr(1, plain.size() - 2);
    EXPECT_EQ(load_text(kLeast + "run: {name: " + text + "}\n").config.run.name, plain);
  }
}

TEST(LoadConfig, YamlThatIsTaken) {
  EXPECT_EQ(load_text("\xEF\xBB\xBF" + kLeast).config.train.steps, 10) << "byte order mark";
  EXPECT_EQ(load_text("data: {train: [a.txt]}\r\ntrain:\r\n  steps: 11\r\n").config.train.steps, 11) << "CRLF";
  EXPECT_EQ(load_text("---\n" + kLeast + "...\n").config.train.steps, 10) << "document marks";
  EXPECT_EQ(load_text("data: {train: [a.txt]}\ntrain: {steps: \"12\"}\n").config.train.steps, 12) << "quoted number";
  EXPECT_EQ(load_text(kLeast + "model: {init_std: 1e-4}\n").config.model.options->body.init_std, 1e-4) << "exponent";
  EXPECT_EQ(load_text("data: {train: &t [a.txt], valid: *t}\ntrain: {steps: 1}\n").config.data.valid.size(), 1u)
      << "alias";
  EXPECT_EQ(load_text("# ümlaut\n" + kLeast + "run: {name: größe}\n").config.run.name, "größe") << "UTF-8";
  EXPECT_EQ(load_text("{data: {train: [a.txt]},\n\n train: {steps: 3}} # flow\n").config.train.steps, 3) << "flow";
}

TEST(LoadConfig, TheResolvedTextReproducesItself) {
  setenv("LONGHAUL_TEST_A", "x", 1);
  const std::vector<std::string> cases = {
      kLeast,
      kLeast + "model: {family: local, window: 7}\nrun: {name: 'a \"b\" \\ ${LONGHAUL_TEST_A} $${c}', init_from: m}\n",
      "data:\n  train: [{path: 'b c.txt', part: 0%..12.5%}, 'ö*.txt']\n  tokenizer: {kind: char, path: v.txt}\n"
      "train:\n  time: 90s\n  schedule: {warmup: 0.5e, horizon: 3Mtok, kind: cosine}\n  freeze: ['a.*', '- x', '#']\n"
      "  stages: [{steps: 3, learning_rate: 1e-5}, {steps: 4, model: {dropout: 0.25}}]\n",
      "data: {train: [a.txt], sequence_length: 64}\ntrain: {tokens: 1.5M}\n"
      "model: {positions: axial, axial_shape: [8, 8]}\nmemory: {budget: 1.5GiB, chunk_loss: 0}\n",
  };
  for (const std::string& text : cases) {
    const Loaded first = load_text(text);
    const std::string resolved = resolved_yaml(first.config);
    const Loaded second = load_text(resolved);
    EXPECT_EQ(resolved_yaml(second.config), resolved);
    const std::vector<FlatValue> a = flatten(first.config), b = flatten(second.config);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].key, b[i].key);
      EXPECT_EQ(a[i].value, b[i].value) << a[i].key;
    }
  }
}

}  // namespace
}  // namespace longhaul::config
