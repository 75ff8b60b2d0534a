#include "train/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "data/objectives/masking.h"
#include "framework/base/threads.h"
#include "models/local/options.h"
#include "train/plan/process.h"
#include "train/plan/report.h"
#include "train/trainer/from_config.h"
#include "train/trainer/stages.h"
#include "train/trainer/trainee.h"

namespace longhaul::train {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

config::Config small_config(const std::string& family = "transformer") {
  config::Config config;
  config.run.threads = 1;
  config.data.sequence_length = 130;
  config.train.batch_size = 4;
  config.train.micro_batch = 2;
  config.model.family = config.model.options_family = family;
  const models::FamilyInfo* info = models::find_family(family);
  auto options = info->make();
  options->body.dim = 64, options->body.layers = 3, options->body.heads = 4;
  if (auto* local = dynamic_cast<models::LocalOptions*>(options.get())) local->window = 40;
  info->resolve(*options, {.sequence_length = 130, .form = models::Form::kDecoder});
  config.model.options = options;
  return config;
}

// The highest number of live tensor bytes of three real steps, above what this process held before. Of each row the first `scored`
// tokens have a target.
int64_t measured_peak(const config::Config& config, int64_t vocabulary, int64_t scored) {
  set_thread_count(config.run.threads);
  DeviceMemory& memory = device_memory(Device::cpu());
  memory.reset_peak();
  const int64_t before = memory.report().total_live;
  const Trainee trainee(config, vocabulary, stages_of(config)[0], config.train.micro_batch);
  const Shape shape{config.train.batch_size, config.data.sequence_length};
  std::vector<int32_t> ids(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i % 251);
  const Tensor tokens = Tensor::of<int32_t>(shape, ids);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (static_cast<int64_t>(i) % shape[1] >= scored) ids[i] = -1;
  }
  const Tensor targets = Tensor::of<int32_t>(shape, ids);
  for (int step = 1; step <= 3; ++step) {
    StepInput input;
    input.batch.inputs.tokens = tokens, input.batch.targets = targets;
    if (config.data.objective.kind != data::ObjectiveKind::kCausal) {
      input.batch.inputs.valid = Tensor::of<uint8_t>(shape, std::vector<uint8_t>(ids.size(), 1));
    }
    input.scored = scored * shape[0], input.step = step, input.learning_rate = 1e-3;
    const StepOutcome outcome = trainee.step().run(input);
    EXPECT_FALSE(outcome.skipped) << outcome.reason;
  }
  return memory.report().total_peak - before;
}

struct Variant {
  const char* name;
  const char* family;
  std::function<void(config::Config&)> change;
};

class EveryVariant : public testing::TestWithParam<Variant> {};

TEST_P(EveryVariant, ThePlanIsWhatARunTakes) {
  config::Config config = small_config(GetParam().family);
  GetParam().change(config);
  const Plan plan = make_plan(config, {.vocabulary = 256});
  const auto measured = static_cast<double>(measured_peak(config, 256, config.data.sequence_length));
  EXPECT_NEAR(static_cast<double>(plan.tensor_peak_bytes), measured, 0.02 * measured);
  EXPECT_THAT(plan.missing_kernels, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    MemoryOptions, EveryVariant,
    testing::Values(
        Variant{"dense", "transformer", [](config::Config&) {}}, Variant{"local", "local", [](config::Config&) {}},
        Variant{"bf16", "transformer", [](config::Config& c) { c.run.precision = config::Precision::kBF16; }},
        Variant{"recompute", "local", [](config::Config& c) { c.memory.recompute = config::Recompute::kLayer; }},
        Variant{"reversible", "transformer", [](config::Config& c) { c.memory.reversible = true; }},
        Variant{"chunked", "transformer",
                [](config::Config& c) { c.memory.chunk_feedforward = 64, c.memory.chunk_loss = 64; }},
        Variant{"averaged", "transformer", [](config::Config& c) { c.train.ema.decay = 0.9; }},
        Variant{"adafactor", "transformer",
                [](config::Config& c) { c.train.optimizer.kind = config::OptimizerKind::kAdafactor; }},
        Variant{"frozen", "transformer", [](config::Config& c) { c.train.freeze = {"token_embedding*"}; }}),
    [](const testing::TestParamInfo<Variant>& info) { return std::string(info.param.name); });

TEST(Plan, OfHiddenTokensTheScoredOnesCount) {
  for (const double share : {0.15, 0.9}) {  // of few rows the head is computed for them alone, of most for all
    config::Config config = small_config();
    config.data.objective.kind = data::ObjectiveKind::kMasked;
    config.data.objective.masked_share = share;
    const Plan plan = make_plan(config, {.vocabulary = 2000});
    const auto measured = static_cast<double>(measured_peak(config, 2000, data::masked_count(share, config.data.sequence_length - 2)));
    EXPECT_NEAR(static_cast<double>(plan.tensor_peak_bytes), measured, 0.02 * measured) << share;
  }
}

TEST(Plan, AnswersDoNotDependOnWhatTheProcessHolds) {
  const config::Config config = small_config();
  const Plan first = make_plan(config, {.vocabulary = 256});
  const Tensor held = Tensor::zeros({1 << 20}, DType::kF32, Device::cpu());
  const Plan second = make_plan(config, {.vocabulary = 256});
  EXPECT_EQ(first.tensor_peak_bytes, second.tensor_peak_bytes);
  EXPECT_EQ(first.peak_bytes, second.peak_bytes);
}

TEST(Plan, FrozenParametersNeedNoGradients) {
  config::Config config = small_config();
  const auto gradients = [&] {
    return make_plan(config, {.vocabulary = 256}).bytes[static_cast<size_t>(MemoryFamily::kGradients)];
  };
  const int64_t all = gradients();
  config.train.freeze = {"token_embedding*"};
  EXPECT_EQ(gradients(), all - 256 * 64 * 4);
}

TEST(Plan, OperationsAreThoseOfTheFormula) {
  // Performance notes, section 4.1: 6 for each weight of a product, 12 L d c for attention with c visible keys.
  config::Config config = small_config();
  config.data.sequence_length = 128;
  const double weights = 3 * (4 * 64 * 64 + 2 * 64 * 256) + 256 * 64;
  const double attention = 12.0 * 3 * 64 * (128 + 1) / 2;
  EXPECT_DOUBLE_EQ(make_plan(config, {.vocabulary = 256}).flops_per_token, 6 * weights + attention);
}

TEST(Plan, TheLargestMicroBatchFitsAndTheNextDoesNot) {
  config::Config config = small_config();
  config.train.micro_batch = 0;
  config.train.batch_size = 12;
  const auto peak = [&](int64_t micro) {
    return make_plan(config, {.vocabulary = 256, .micro_batch = micro}).peak_bytes;
  };
  config.memory.budget = peak(4) + 1000;
  EXPECT_EQ(largest_micro_batch(config, {.vocabulary = 256}), 4);
  EXPECT_GT(peak(6), config.memory.budget);
  config.memory.budget = 1000;  // nothing fits: one sequence at a time is the best that can be tried
  EXPECT_EQ(largest_micro_batch(config, {.vocabulary = 256}), 1);
  config.memory.budget = int64_t{1} << 40;
  EXPECT_EQ(largest_micro_batch(config, {.vocabulary = 256}), 12);
}

TEST(Plan, TheLongestSequenceGrowsWithTheBudget) {
  config::Config config = small_config("local");
  config.memory.budget = process_bytes(1) + 16 * kMiB;
  const int64_t some = longest_sequence(config, {.vocabulary = 256});
  config.memory.budget = process_bytes(1) + 32 * kMiB;
  const int64_t more = longest_sequence(config, {.vocabulary = 256});
  EXPECT_GT(some, 130);
  EXPECT_GT(more, 3 * some / 2);
  config.memory.budget = 1;
  EXPECT_EQ(longest_sequence(config, {.vocabulary = 256}), 0);
}

TEST(Plan, LeversNameTheKeyAndWhatItSaves) {
  const config::Config config = small_config();
  const Plan plan = make_plan(config, {.vocabulary = 256});
  const auto levers = find_levers(config, {.vocabulary = 256}, plan);
  ASSERT_FALSE(levers.empty());
  for (size_t i = 1; i < levers.size(); ++i) EXPECT_GE(levers[i - 1].saved, levers[i].saved);
  EXPECT_THAT(plan_text(plan, 1000, levers), testing::HasSubstr("lever: " + levers[0].change + " saves "));
}

TEST(Plan, JsonHasEveryPromisedField) {
  const Plan plan = make_plan(small_config(), {.vocabulary = 256});
  const auto json = nlohmann::json::parse(plan_json(plan, 4096, {}));
  for (const char* key : {"parameters", "flops_per_token", "tensor_peak_bytes", "peak_bytes", "longest_sequence"}) {
    EXPECT_TRUE(json.at(key).is_number()) << key;
  }
  int64_t total = 0;
  for (const char* family : {"parameters", "gradients", "optimizer", "activations", "workspace", "state"}) {
    total += json.at("bytes").at(family).get<int64_t>();
  }
  EXPECT_EQ(total, plan.tensor_peak_bytes);
}

}  // namespace
}  // namespace longhaul::train
