#include "train/config/resume.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/train/config/workspace.h"

namespace longhaul::config {
namespace {

const std::string kBase =
    "run: {name: r}\ndata: {train: [/a.txt], valid: [/v.txt]}\nmodel: {family: local, dim: 64, heads: 4}\n"
    "train: {steps: 10, optimizer: {kind: sgd}, schedule: {kind: constant}}\n";

std::string class_of(const std::string& override_text) {
  const ResumeComparison found = compare_for_resume(load_text(kBase).config, load_text(kBase, {override_text}).config);
  std::string out;
  if (!found.fixed.empty()) out += "fixed ";
  if (!found.may_change.empty()) out += "may change ";
  if (!found.harmless.empty()) out += "harmless ";
  if (!out.empty()) out.pop_back();
  return out;
}

TEST(ResumeClasses, KeyByKey) {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"run.seed=2", "fixed"},
      {"run.precision=bf16", "fixed"},
      {"run.init_from=/m", "fixed"},
      {"data.train=[/b.txt]", "fixed"},
      {"data.train=[/a.txt, /b.txt]", "fixed"},
      {"data.valid=[/w.txt]", "fixed"},
      {"data.tokenizer.offset=3", "fixed"},
      {"data.tokenizer={kind: char}", "fixed"},
      {"data.sequence_length=512", "fixed"},
      {"data.cross_documents=false", "fixed"},
      {"data.shuffle=false", "fixed"},
      {"data.invalid_utf8=replace", "fixed"},
      {"model.layers=2", "fixed"},
      {"model.dropout=0.1", "fixed"},
      {"model.window=64", "fixed"},
      {"model.local_kind=block", "fixed"},
      {"memory.reversible=true", "fixed"},
      {"train.batch_size=4", "fixed"},
      {"train.optimizer.kind=adam", "fixed"},
      {"train.label_smoothing=0.1", "fixed"},
      {"train.ema.decay=0.9", "fixed"},
      {"train.freeze=[a]", "fixed"},
      {"train.stages=[{steps: 5}]", "fixed"},
      {"train.steps=20", "may change"},
      {"train.tokens=1M", "may change"},
      {"train.time=1h", "may change"},
      {"train.micro_batch=2", "may change"},
      {"train.optimizer.learning_rate=1", "may change"},
      {"train.optimizer.weight_decay=1", "may change"},
      {"train.schedule.kind=cosine", "may change"},
      {"train.schedule.warmup=3", "may change"},
      {"train.clip_norm=3", "may change"},
      {"train.max_bad_steps=3", "may change"},
      {"train.log_every=3", "may change"},
      {"train.eval_every=3", "may change"},
      {"train.checkpoint={every: 3, keep: 5, best: false}", "may change"},
      {"run.hash_every=3", "may change"},
      {"run.determinism=strict", "may change"},
      {"run.name=other", "harmless"},
      {"run.device=cpu", "harmless"},
      {"run.threads=3", "harmless"},
      {"data.cache=/c", "harmless"},
      {"memory.budget=1GiB", "harmless"},
      {"memory.recompute=layer", "harmless"},
      {"memory.reversible_backward=stored", "harmless"},
      {"memory.chunk_feedforward=64", "harmless"},
      {"memory.chunk_loss=64", "harmless"},
      {"run.name=r", ""},
      {"train.steps=10", ""},
  };
  for (const auto& [change, expected] : table) EXPECT_EQ(class_of(change), expected) << change;
}

TEST(ResumeClasses, TheRefusalShowsOldAndNew) {
  const ResumeComparison found = compare_for_resume(
      load_text(kBase).config, load_text(kBase, {"run.seed=2", "model.dim=32", "train.steps=99"}).config);
  try {
    found.refuse_fixed("runs/r");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "[resume] 4 fixed keys differ from the run in runs/r, nothing was changed\n"
                 "  run.seed: was 1, now 2\n"
                 "  model.dim: was 64, now 32\n"
                 "  model.head_dim: was 16, now 8\n"
                 "  model.feedforward: was 256, now 128\n"
                 "  hint: set them back to continue, or start a new run with another run.name or --run DIR");
    EXPECT_EQ(error.exit_code(), 2);
  }
  ASSERT_EQ(found.may_change.size(), 1u);
  EXPECT_EQ(found.may_change[0].key, "train.steps");
  EXPECT_EQ(found.may_change[0].old_value, "10");
  EXPECT_EQ(found.may_change[0].new_value, "99");
}

TEST(ResumeClasses, AnotherFamilyNamesTheKeysThatCameAndWent) {
  const ResumeComparison found =
      compare_for_resume(load_text(kBase).config, load_text(kLeast + "model: {dim: 64, heads: 4}\n").config);
  std::map<std::string, std::string> gone;
  for (const KeyChange& change : found.fixed) {
    if (change.new_value.empty()) gone[change.key] = change.old_value;
  }
  EXPECT_EQ(gone["model.window"], "512");
}

TEST(ResumeClasses, EqualConfigurationsHaveNoChanges) {
  const ResumeComparison found = compare_for_resume(load_text(kBase).config, load_text(kBase).config);
  EXPECT_TRUE(found.fixed.empty() && found.may_change.empty() && found.harmless.empty());
  EXPECT_NO_THROW(found.refuse_fixed("runs/r"));
}

}  // namespace
}  // namespace longhaul::config
