// Runs of encoder-decoders, and of hashed reversible models, that are cut give the same bits as runs that are not.
#include <fmt/format.h>

#include "tests/train/trainer/tiny_run.h"

namespace longhaul::train {
namespace {

void expect_resumes(const std::string& model) {
  TinyRun run("steps: 8", model + ", positions: learned, decoder_layers: 1");
  std::string text;
  for (int i = 0; i < 120; ++i) text += i % 3 == 0 ? "A cat sat. " : i % 3 == 1 ? "It was a mat. " : "The dog ran off. ";
  put(run.folder / "train.txt", text);
  put(run.folder / "valid.txt", text.substr(0, 200));
  run.overrides = {"data.objective=gap_sentences", "data.sequence_length=48", "data.target_length=24"};
  EXPECT_EQ(run.session("whole").steps, 8);
  EXPECT_LT(run.record.steps.back().loss, run.record.steps.front().loss);
  for (const int64_t cut : {3, 5}) {
    const std::string name = "cut" + std::to_string(cut);
    run.session_stopped_after(name, cut);
    run.session(name);
    run.expect_same("whole", name, 8);
  }
}

TEST(ReformerRuns, SurviveACutWithHashingAndReversibleLayers) {
  for (const char* precision : {"f32", "bf16"}) {
    TinyRun run("steps: 20", "family: reformer, lsh_chunk: 4, local_chunk: 4, positions: axial, axial_shape: [4, 4], attention_dropout: 0.1, lsh_attention_dropout: 0.1");
    run.overrides = {fmt::format("run.precision={}", precision)};
    EXPECT_EQ(run.session("whole").steps, 20);
    for (const int64_t cut : {1, 10, 13}) {
      const std::string name = "cut" + std::to_string(cut);
      run.session_stopped_after(name, cut);
      run.session(name);
      run.expect_same("whole", name, 20);
    }
  }
}

TEST(SequenceRuns, ReversibleLayersOverASourceSurviveACut) {
  TinyRun run("steps: 8", "family: reformer, positions: learned");
  std::string text;
  for (int i = 0; i < 120; ++i) text += i % 3 == 0 ? "A cat sat. " : i % 3 == 1 ? "It was a mat. " : "The dog ran off. ";
  put(run.folder / "train.txt", text);
  put(run.folder / "valid.txt", text.substr(0, 200));
  run.overrides = {"data.objective=gap_sentences", "data.sequence_length=48", "data.target_length=24"};
  EXPECT_EQ(run.session("whole").steps, 8);
  run.session_stopped_after("cut", 3);
  run.session("cut");
  run.expect_same("whole", "cut", 8);
}

TEST(SequenceRuns, LedSurvivesACut) { expect_resumes("family: led, window: 4"); }

TEST(SequenceRuns, BigBirdPegasusSurvivesACut) { expect_resumes("family: bigbird_pegasus, block: 4, random_blocks: 1, short_full: false"); }

}  // namespace
}  // namespace longhaul::train
