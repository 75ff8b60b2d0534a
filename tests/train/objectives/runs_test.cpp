// Every objective through the trainer: exact resume, mixed precision, accumulation, evaluation, the finished model.
#include <gmock/gmock.h>

#include <cmath>

#include "framework/base/threads.h"
#include "framework/tensor/memory.h"
#include "models/model.h"
#include "tests/train/objectives/objective_run.h"
#include "train/commands/open_model.h"
#include "train/evaluate/evaluate.h"
#include "train/plan/plan.h"
#include "train/trainer/corpora.h"
#include "train/trainer/dry_run.h"
#include "train/trainer/model_batch.h"
#include "train/trainer/stages.h"
#include "train/trainer/trainee.h"

namespace longhaul::train {
namespace {

class EveryObjective : public ::testing::TestWithParam<const char*> {
 protected:
  ObjectiveRun run{GetParam()};
};

TEST_P(EveryObjective, ARunThatWasCutEndsAsTheUnbrokenOne) {
  const std::pair<const char*, std::vector<int64_t>> all[] = {{"f32", {1, 5, 8}}, {"bf16", {7}}};
  for (const auto& [precision, cuts] : all) {
    run.overrides.push_back(fmt::format("run.precision={}", precision));
    const std::string whole = fmt::format("whole-{}", precision);
    EXPECT_EQ(run.session(whole).exit_code, 0);
    for (const StepMetrics& step : run.record.steps) EXPECT_TRUE(std::isfinite(step.loss)) << precision << " step " << step.step;
    for (const int64_t cut : cuts) {
      const std::string name = fmt::format("cut{}-{}", cut, precision);
      run.session_stopped_after(name, cut);
      EXPECT_EQ(run.session(name).exit_code, 0);
      run.expect_same(whole, name, 12);
    }
  }
}

TEST_P(EveryObjective, TheSizeOfTheMicroBatchDoesNotMatter) {
  std::vector<std::vector<double>> losses;
  for (const int64_t micro_batch : {1, 2, 4}) {
    run.session(fmt::format("micro{}", micro_batch), {fmt::format("train.micro_batch={}", micro_batch)});
    losses.emplace_back();
    for (const StepMetrics& step : run.record.steps) losses.back().push_back(step.loss);
  }
  for (size_t i = 0; i < losses[0].size(); ++i) {
    EXPECT_NEAR(losses[0][i], losses[1][i], 2e-4) << "step " << i + 1;
    EXPECT_NEAR(losses[0][i], losses[2][i], 2e-4) << "step " << i + 1;
  }
}

TEST_P(EveryObjective, TheLossFalls) {
  const RunSummary summary = run.session("long", {"train.steps=60", "train.optimizer.learning_rate=1e-2", "model.dropout=0"});
  const double first = run.record.steps.front().loss;
  EXPECT_LT(summary.train_loss, 0.95 * first);
  EXPECT_TRUE(std::isfinite(summary.valid_loss));
  ASSERT_EQ(run.record.evaluations.size(), 12u);
  EXPECT_TRUE(run.record.evaluations.front().best);
}

TEST_P(EveryObjective, TheSavedModelScoresAsItDidInTraining) {
  run.session("done");
  const EvaluationMetrics last = run.record.evaluations.back();
  const cli::OpenedModel opened = cli::open_model((run.folder / "done").string(), Device::cpu());
  EXPECT_EQ(opened.step, 12);
  const config::Config config = run.config();
  const data::Split valid = opened.objective->open("valid", config.data.valid, {.corpus = config.data.corpus, .cache_folder = config.data.cache});
  std::vector<EvaluationResult> results;
  for (const int64_t batch : {1, 3, 0}) {
    EvaluationRequest request;
    request.context = opened.sequence_length;
    request.cross_documents = true;
    request.batch = batch;
    results.push_back(evaluate(*opened.model, *opened.objective, valid, request));
  }
  for (const EvaluationResult& result : results) {
    EXPECT_EQ(result.tokens, last.tokens);
    EXPECT_NEAR(result.loss(), last.loss, 1e-5);
    EXPECT_EQ(result.accuracy.has_value(), std::string(GetParam()) != "question_answering");
    EXPECT_EQ(result.exact.has_value(), std::string(GetParam()) == "question_answering");
    EXPECT_EQ(result.f1.has_value(), result.exact.has_value());
    if (result.accuracy) {
      EXPECT_DOUBLE_EQ(*result.accuracy, last.accuracy);
    }
    if (result.f1) {
      EXPECT_DOUBLE_EQ(*result.f1, last.f1);
    }
    EXPECT_FALSE(result.bits_per_byte().has_value());
    EXPECT_THAT(to_json(result), testing::HasSubstr("\"bits_per_byte\":null"));
  }
}

TEST_P(EveryObjective, EveryTargetOfASplitIsScoredOnce) {
  config::Config config = run.config();
  resolve_labels(config);
  const Corpora corpora = open_corpora(config, make_tokenizer(config, {}));
  int64_t scored = 0;
  const auto samples = corpora.objective->samples(*corpora.valid, {.sequence_length = 24, .cross_documents = true, .seed = 0});
  for (int64_t i = 0; i < samples->count(); ++i) {
    const std::vector<data::Draw> draw = {{i, static_cast<uint64_t>(i)}};
    scored += samples->read(draw).scored;
  }
  run.session("one");
  EXPECT_EQ(run.record.evaluations.back().tokens, scored);
  EXPECT_GT(scored, 8);
}

TEST_P(EveryObjective, ThePlanIsTheMemoryOfAStepWithFullRows) {
  config::Config config = run.config({"train.micro_batch=2", "run.threads=1"});
  resolve_labels(config);
  const Corpora corpora = open_corpora(config, make_tokenizer(config, {}));
  const Plan plan = make_plan(config, {.vocabulary = corpora.vocabulary()});
  EXPECT_TRUE(plan.missing_kernels.empty());
  EXPECT_GT(plan.flops_per_token, 0);
  // Real batches are at most as wide.
  set_thread_count(1);
  DeviceMemory& memory = device_memory(Device::cpu());
  const int64_t before = memory.report().total_live;
  memory.reset_peak();
  const Trainee trainee(config, corpora.vocabulary(), stages_of(config)[0], 2);
  const data::TrainingBatches batches = training_batches(config, corpora, 24);
  for (int64_t step = 1; step <= 3; ++step) {
    const data::Batch batch = batches.read(4 * step, 4);
    EXPECT_FALSE(trainee.step().run({.batch = model_batch(batch, Device::cpu()), .scored = batch.scored, .step = step, .learning_rate = 1e-3}).skipped);
  }
  const auto measured = static_cast<double>(memory.report().total_peak - before);
  EXPECT_LE(measured, 1.02 * static_cast<double>(plan.tensor_peak_bytes));
  EXPECT_GE(measured, 0.90 * static_cast<double>(plan.tensor_peak_bytes));
}

TEST_P(EveryObjective, ADryRunReadsOneBatch) {
  const std::string text = dry_run(run.config(), true);
  EXPECT_THAT(text, testing::HasSubstr("\"sequences\":4"));
}

INSTANTIATE_TEST_SUITE_P(Objectives, EveryObjective, ::testing::ValuesIn(kObjectives), [](const auto& info) { return std::string(info.param); });

TEST(Labels, AreThoseOfTheTrainingTextAndStayWithTheModel) {
  ObjectiveRun run("classify");
  run.session("run");
  const cli::OpenedModel opened = cli::open_model((run.folder / "run").string(), Device::cpu());
  EXPECT_THAT(opened.objective->options().labels, testing::ElementsAre("high", "low", "mid"));
  EXPECT_EQ(opened.model->spec().head.classes, 3);
  // A resume takes them from the run; the same list given is no change, another one is.
  EXPECT_EQ(run.exit_code("run", {"data.labels=[high, low, mid]"}), 0);
  EXPECT_EQ(run.exit_code("run", {"data.labels=[low, high, mid]"}), 2);
  EXPECT_THAT(run.message, testing::HasSubstr("data.labels: was"));
}

TEST(Labels, OneOfTheValidationThatTheTrainingLacksIsRefused) {
  ObjectiveRun run("classify");
  put(run.folder / "valid.tsv", "text\tlabel\nabc\tunheard\n");
  EXPECT_EQ(run.exit_code("run"), 3);
  EXPECT_THAT(run.message, testing::HasSubstr("row 1 has the label \"unheard\", which is none of the 3 classes"));
  EXPECT_FALSE(fs::exists(run.folder / "run"));
}

TEST(Rows, ThatAreTooLongEndARunBeforeItBegins) {
  ObjectiveRun run("classify");
  EXPECT_EQ(run.exit_code("run", {"data.sequence_length=8"}), 3);
  EXPECT_THAT(run.message, testing::HasSubstr("there is room for 6"));
  EXPECT_EQ(run.exit_code("run", {"data.sequence_length=8", "data.too_long=cut"}), 0);
}

TEST(Heads, ATaskStartsFromTheBodyOfAnyEncoder) {
  ObjectiveRun masked("masked"), classify("classify");
  masked.session("model");
  const std::string from = "run.init_from=" + (masked.folder / "model").string();
  EXPECT_EQ(classify.exit_code("tuned", {from, "train.steps=1", "train.optimizer.learning_rate=1e-9"}), 0) << classify.message;
  const auto body = [](const fs::path& run) {
    const cli::OpenedModel opened = cli::open_model(run.string(), Device::cpu());
    const Tensor weight = opened.model->parameters().front().variable.value();
    return std::vector<float>(weight.data<float>(), weight.data<float>() + weight.elements());
  };
  EXPECT_THAT(body(classify.folder / "tuned"), testing::Pointwise(testing::FloatNear(1e-6f), body(masked.folder / "model")));
  // The other way there is no head over the vocabulary to take; other classes are another head.
  EXPECT_EQ(masked.exit_code("back", {"run.init_from=" + (classify.folder / "tuned").string(), "model.tied_embeddings=false"}), 4);
  EXPECT_THAT(masked.message, testing::HasSubstr("head."));
  EXPECT_EQ(classify.exit_code("wider", {"run.init_from=" + (classify.folder / "tuned").string(), "data.labels=[high, low, mid, none]"}), 0) << classify.message;
}

}  // namespace
}  // namespace longhaul::train
