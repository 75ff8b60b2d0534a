#include "train/config/catalogue.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/train/config/workspace.h"
#include "train/config/flatten.h"

namespace longhaul::config {
namespace {

TEST(Catalogue, EveryKeyIsDocumented) {
  std::set<std::string> keys;
  for (const CatalogueEntry& entry : catalogue()) {
    EXPECT_FALSE(entry.help.empty()) << entry.key;
    EXPECT_TRUE(entry.section || !entry.expected.empty()) << entry.key;
    EXPECT_TRUE(entry.section || !entry.default_value.empty()) << entry.key;
    EXPECT_NE(entry.resume, Resume::kInherit) << entry.key;
    EXPECT_TRUE(keys.insert(entry.key + (entry.families.empty() ? "" : entry.families[0])).second) << entry.key;
    EXPECT_NE(explain_key(entry.key).find(entry.help), std::string::npos);
  }
}

TEST(Catalogue, HoldsEveryKeyThatAConfigurationHas) {
  std::set<std::string> keys;
  for (const CatalogueEntry& entry : catalogue()) keys.insert(entry.key);
  for (const FlatValue& value : flatten(
           load_text("data: {train: [a.txt], valid: [b.txt]}\nmodel: {family: local}\ntrain: {steps: 1}\n").config)) {
    std::string key = value.key;
    if (const size_t at = key.find("[0]"); at != std::string::npos) key.replace(at, 3, "[]");
    if (key.starts_with("data.valid[].")) key = "data.train[]." + key.substr(13);
    EXPECT_TRUE(keys.contains(key)) << key;
  }
}

// The fixed names of the configuration.
TEST(Catalogue, HasTheKeysThatArePromised) {
  std::set<std::string> keys;
  for (const CatalogueEntry& entry : catalogue()) keys.insert(entry.key);
  for (const char* key : {"run.name",
                          "run.seed",
                          "run.device",
                          "run.precision",
                          "run.threads",
                          "run.determinism",
                          "run.hash_every",
                          "run.init_from",
                          "data.train",
                          "data.train[].path",
                          "data.train[].part",
                          "data.train[].document",
                          "data.train[].text",
                          "data.train[].label",
                          "data.train[].source",
                          "data.train[].target",
                          "data.valid",
                          "data.test",
                          "data.tokenizer",
                          "data.tokenizer.kind",
                          "data.tokenizer.path",
                          "data.tokenizer.vocab_size",
                          "data.tokenizer.offset",
                          "data.objective",
                          "data.masking",
                          "data.sequence_length",
                          "model.family",
                          "model.form",
                          "model.dim",
                          "model.layers",
                          "model.heads",
                          "model.head_dim",
                          "model.feedforward",
                          "model.dropout",
                          "model.window",
                          "memory.budget",
                          "memory.reversible",
                          "memory.reversible_backward",
                          "memory.recompute",
                          "memory.chunk_feedforward",
                          "memory.chunk_loss",
                          "train.steps",
                          "train.tokens",
                          "train.time",
                          "train.batch_size",
                          "train.micro_batch",
                          "train.optimizer.kind",
                          "train.optimizer.learning_rate",
                          "train.optimizer.weight_decay",
                          "train.optimizer.betas",
                          "train.optimizer.eps",
                          "train.schedule.kind",
                          "train.schedule.warmup",
                          "train.schedule.final",
                          "train.schedule.horizon",
                          "train.clip_norm",
                          "train.freeze",
                          "train.stages",
                          "train.stages[].steps",
                          "train.stages[].learning_rate",
                          "train.stages[].sequence_length",
                          "train.stages[].batch_size",
                          "train.stages[].model",
                          "train.log_every",
                          "train.eval_every",
                          "train.checkpoint.every",
                          "train.checkpoint.keep",
                          "train.checkpoint.best"}) {
    EXPECT_TRUE(keys.contains(key)) << key;
  }
}

TEST(Explain, SaysTypeRangeDefaultAndResume) {
  EXPECT_EQ(explain_key("train.batch_size"),
            "train.batch_size\n"
            "  sequences per optimizer step, over all ranks\n"
            "  type       whole number\n"
            "  expects    a whole number of sequences, 1 to 16777216\n"
            "  default    8\n"
            "  on resume  fixed: another value is refused (exit 2)\n");
  EXPECT_NE(explain_key("window").find("family     local"), std::string::npos);
  EXPECT_EQ(explain_key("data.train[3].part"), explain_key("data.train.part"));
  EXPECT_EQ(explain_key("data.valid[0].part"), explain_key("data.train[].part"));
  EXPECT_EQ(explain_key("train.stages[0].model.dropout"), explain_key("model.dropout"));
}

TEST(Explain, AnUnknownKeyNamesTheNearest) {
  try {
    explain_key("train.stepz");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "[config] there is no key \"train.stepz\"; did you mean \"train.steps\"?\n"
                 "  next: longhaul config explain, without a key, lists all");
  }
}

TEST(Reference, HasALineForEveryKey) {
  const std::string page = reference_page();
  for (const CatalogueEntry& entry : catalogue())
    EXPECT_NE(page.find("`" + entry.key + "`"), std::string::npos) << entry.key;
}

TEST(JsonSchema, KnowsEverySectionAndFamily) {
  const auto schema = nlohmann::json::parse(json_schema());
  for (const char* section : {"extends", "run", "data", "model", "memory", "train"}) {
    EXPECT_TRUE(schema["properties"].contains(section)) << section;
  }
  EXPECT_EQ(schema["additionalProperties"], false);
  const auto& rules = schema["properties"]["model"]["allOf"];
  ASSERT_EQ(rules.size(), models::families().size());
  EXPECT_TRUE(rules[1]["then"]["properties"].contains("window"));
  EXPECT_FALSE(rules[0]["then"]["properties"].contains("window"));
}

}  // namespace
}  // namespace longhaul::config
