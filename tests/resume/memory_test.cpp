// The memory of recurrent models as state of a run.
#include <fmt/format.h>

#include "framework/checkpoint/safetensors.h"
#include "models/common/segment_memory.h"
#include "tests/train/trainer/tiny_run.h"
#include "train/trainer/prepare.h"
#include "train/trainer/trainer.h"

namespace longhaul::train {
namespace {

const char* const kModels[] = {
    "family: transformer_xl, memory: {length: 24}",
    "family: transformer_xl, norm: pre, memory: {length: 40, reset: document, bptt_segments: 2}, adaptive: {cutoffs: [40, 110], div_val: 2}",
    "family: compressive, memory: {length: 24, compressed: 12, rate: 4}, compression: {function: conv}",
    "family: compressive, norm: pre, memory: {length: 16, compressed: 8, rate: 2, reset: document}, compression: {function: dilated_conv, loss: autoencode}",
    "family: compressive, memory: {length: 24, compressed: 9, rate: 4, reset: document}, compression: {function: most_used}",
    "family: compressive, memory: {length: 16, compressed: 8, rate: 4, bptt_segments: 2}, compression: {function: conv, loss: bptt}",
};

TEST(RecurrentMemory, IsAPartOfTheRunWithOneRowForEachSequence) {
  TinyRun run("steps: 24", kModels[1]);
  const config::Config config = run.config();
  TrainingOptions options;
  options.run = run.folder / "none";
  const Prepared prepared = prepare(config, options, RunFolder(options.run));
  const Trainer trainer(prepared, options);
  EXPECT_TRUE(trainer.parts().parts().contains("memory"));
  run.session("whole");
  const checkpoint::SafetensorsReader reader(run.checkpoint("whole", 24) / "state.safetensors");
  EXPECT_EQ(reader.entry("memory.layers.0").shape, (std::vector<int64_t>{4, 40, 16}));
  EXPECT_EQ(reader.entry("memory.documents").shape, (std::vector<int64_t>{4, 40}));
}

TEST(RecurrentMemory, ACutInTheMiddleOfADocumentChangesNoBit) {
  for (const char* model : kModels) {
    for (const char* precision : {"f32", "bf16"}) {
      TinyRun run("steps: 42", model);
      run.overrides = {fmt::format("run.precision={}", precision)};
      EXPECT_EQ(run.session("whole").exit_code, 0);
      EXPECT_LT(run.record.steps.back().loss, run.record.steps.front().loss);
      // Inside of the first stream, around the end of an epoch, inside of a later one, after an evaluation.
      for (const int64_t cut : {1, 7, 9, 10, 11, 14, 20, 33}) {
        const std::string name = fmt::format("cut{}", cut);
        run.session_stopped_after(name, cut);
        EXPECT_EQ(run.session(name).exit_code, 0);
        run.expect_same("whole", name, 42);
      }
    }
  }
}

TEST(RecurrentMemory, ACutAroundTheBeginOfFewerUpdatesChangesNoBit) {
  TinyRun run("steps: 26\n  accumulate: {batches: 3, after: 8}", kModels[2]);
  EXPECT_EQ(run.session("whole").exit_code, 0);
  ASSERT_EQ(run.record.steps.size(), 26u);
  // Three batches of 4 sequences of 16 tokens from the ninth step on, as far as an epoch's last batch is whole.
  EXPECT_EQ(run.record.steps[8].tokens - run.record.steps[7].tokens, 3 * (run.record.steps[7].tokens - run.record.steps[6].tokens));
  for (const int64_t cut : {7, 8, 9, 10, 13, 19}) {
    const std::string name = fmt::format("cut{}", cut);
    run.session_stopped_after(name, cut);
    EXPECT_EQ(run.session(name).exit_code, 0);
    run.expect_same("whole", name, 26);
  }
}

TEST(RecurrentMemory, TellsTheLossesOfCompression) {
  TinyRun run("steps: 9", kModels[2]);
  EXPECT_EQ(run.session("run").exit_code, 0);
  const auto& gauges = run.record.logs.back().gauges;
  for (const char* name : {"compression_loss.0", "compression_loss.1", "apart_norm"}) {
    ASSERT_TRUE(gauges.contains(name)) << name;
    EXPECT_GT(gauges.at(name), 0) << name;
  }
  TinyRun plain("steps: 9", kModels[0]);
  EXPECT_EQ(plain.session("run").exit_code, 0);
  EXPECT_TRUE(plain.record.logs.back().gauges.empty());
}

TEST(RecurrentMemory, OneAndTwoThreadsGiveTheSameRun) {
  TinyRun run("steps: 14", kModels[1]);
  EXPECT_EQ(run.session("one", {"run.threads=1"}).exit_code, 0);
  EXPECT_EQ(run.session("two", {"run.threads=2"}).exit_code, 0);
  EXPECT_EQ(run.journal("one"), run.journal("two"));
}

TEST(RecurrentMemory, AnEvaluationLeavesItAlone) {
  TinyRun run("steps: 30", kModels[0]);
  run.session("whole");
  run.session("quiet", {"train.eval_every=0"});
  EXPECT_TRUE(TinyRun::tensor_bytes(run.checkpoint("whole", 30) / "model.safetensors") == TinyRun::tensor_bytes(run.checkpoint("quiet", 30) / "model.safetensors"));
}

TEST(RecurrentMemory, BeginsAnewAfterASkippedStep) {
  TinyRun run("steps: 12", kModels[0]);
  run.probe = [](int64_t step, const std::vector<optim::Parameter>& trained) {
    if (step == 4) trained[1].variable.gradient().data<float>()[0] = NAN;
  };
  EXPECT_EQ(run.session("whole").exit_code, 0);
  run.session_stopped_after("cut", 4);
  const checkpoint::SafetensorsReader reader(run.checkpoint("cut", 4) / "state.safetensors");
  const Tensor kept = reader.read(reader.entry("memory.layers.1"));
  for (int64_t n = 0; n < kept.elements(); ++n) ASSERT_EQ(kept.data<float>()[n], 0);
  EXPECT_EQ(run.session("cut").exit_code, 0);
  run.expect_same("whole", "cut", 12);
}

TEST(RecurrentMemory, StagesShareIt) {
  TinyRun run("stages: [{steps: 5}, {steps: 6, sequence_length: 8}]", "family: transformer_xl, memory: {length: 24}");
  EXPECT_EQ(run.session("whole").steps, 11);
  for (const int64_t cut : {4, 5, 6, 9}) {
    const std::string name = fmt::format("cut{}", cut);
    run.session_stopped_after(name, cut);
    run.session(name);
    run.expect_same("whole", name, 11);
  }
}

TEST(RecurrentMemory, WhatDoesNotFitIsRefusedAndNothingIsLost) {
  TinyRun run("steps: 20", kModels[0]);
  EXPECT_EQ(run.exit_code("long", {"model.memory.length=400"}), 2);
  EXPECT_NE(run.message.find("model.memory keeps 400 tokens"), std::string::npos) << run.message;
  EXPECT_EQ(run.exit_code("none", {"model.memory.eval_length=0"}), 2);
  EXPECT_NE(run.message.find("model.memory.eval_length"), std::string::npos) << run.message;
  EXPECT_EQ(run.exit_code("none", {"model.adaptive.cutoffs=[40, 40]"}), 2);
  EXPECT_NE(run.message.find("must increase"), std::string::npos) << run.message;
  EXPECT_EQ(run.exit_code("none", {"model.adaptive.cutoffs=[40, 256]"}), 2);
  EXPECT_NE(run.message.find("the vocabulary has 256 ids"), std::string::npos) << run.message;
  EXPECT_EQ(run.exit_code("none", {"model.adaptive.cutoffs=[40]", "model.adaptive.div_val=32"}), 2);
  EXPECT_EQ(run.exit_code("none", {"data.cross_documents=false"}), 2);
  EXPECT_EQ(run.exit_code("none", {"memory.reversible=true"}), 2);
  EXPECT_EQ(run.exit_code("none", {"train.stages=[{steps: 5}, {steps: 5, batch_size: 2}]"}), 2);
  EXPECT_EQ(run.exit_code("none", {"train.stages=[{steps: 5}, {steps: 5, model: {memory: {length: 8}}}]"}), 2);
  EXPECT_FALSE(fs::exists(run.folder / "none"));
  run.session_stopped_after("run", 5);
  const std::string before = content(run.checkpoint("run", 5) / "state.safetensors");
  for (const char* change : {"train.batch_size=8", "model.memory.length=16"}) {
    EXPECT_EQ(run.exit_code("run", {change}), 2) << change;
    EXPECT_NE(run.message.find("was "), std::string::npos) << run.message;
  }
  EXPECT_EQ(content(run.checkpoint("run", 5) / "state.safetensors"), before);
  EXPECT_EQ(run.exit_code("run"), 0);
}

TEST(RecurrentMemory, OfAnotherShapeInACheckpointIsAnError) {
  const TestFolder folder;
  models::SegmentMemory stored({.rows = 2, .layers = 1, .dim = 4, .length = 6, .device = Device::cpu()});
  checkpoint::StateRegistry registry;
  registry.add("memory", checkpoint::Section::kState, stored);
  checkpoint::CheckpointContent content;
  content.step = 1;
  content.state = checkpoint::capture(registry);
  const auto saved = checkpoint::save_checkpoint(folder.path(), content, {.keep = 1, .pinned = {}});
  for (const models::MemoryPlan& plan : {models::MemoryPlan{.rows = 3, .layers = 1, .dim = 4, .length = 6, .device = Device::cpu()},
                                         models::MemoryPlan{.rows = 2, .layers = 1, .dim = 5, .length = 6, .device = Device::cpu()},
                                         models::MemoryPlan{.rows = 2, .layers = 2, .dim = 4, .length = 6, .device = Device::cpu()},
                                         models::MemoryPlan{.rows = 2, .layers = 1, .dim = 4, .length = 5, .device = Device::cpu()},
                                         models::MemoryPlan{.rows = 2, .layers = 1, .dim = 4, .length = 6, .documents = true, .device = Device::cpu()},
                                         models::MemoryPlan{.rows = 2, .layers = 1, .dim = 4, .length = 6, .dtype = DType::kBF16, .device = Device::cpu()}}) {
    models::SegmentMemory other(plan);
    checkpoint::StateRegistry wanted;
    wanted.add("memory", checkpoint::Section::kState, other);
    EXPECT_THROW(checkpoint::load_checkpoint(saved.folder, wanted), CheckpointError);
  }
  EXPECT_NO_THROW(checkpoint::load_checkpoint(saved.folder, registry));
}

}  // namespace
}  // namespace longhaul::train
