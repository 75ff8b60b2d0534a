// Question answering with the encoders of public checkpoints: learned, resumed, given away and taken back.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "models/model.h"
#include "tests/train/objectives/objective_run.h"
#include "train/commands/exchange.h"
#include "train/commands/open_model.h"

namespace longhaul::train {
namespace {

struct Encoder {
  const char* family;
  const char* architecture;
  std::vector<std::string> keys;  // the layout of its public checkpoints
};

class Answers : public ::testing::TestWithParam<Encoder> {
 protected:
  Answers() {
    for (const std::string& key : GetParam().keys) run.overrides.push_back("model." + key);
    run.overrides.push_back("model.family=" + std::string(GetParam().family));
    run.overrides.push_back("model.norm=post");
    run.overrides.push_back("model.embedding_norm=true");
  }
  /// Names and bytes of a run's parameters.
  static std::map<std::string, std::string> parameters(const fs::path& folder) {
    const cli::OpenedModel opened = cli::open_model(folder.string(), Device::cpu());
    std::map<std::string, std::string> out;
    for (const auto& p : opened.model->parameters()) {
      const Tensor& value = p.variable.value();
      out[p.name] = std::string(static_cast<const char*>(value.raw()), static_cast<size_t>(value.bytes()));
    }
    return out;
  }

  ObjectiveRun run{"question_answering"};
};

TEST_P(Answers, AreLearned) {
  const RunSummary summary = run.session("run", {"train.steps=150", "train.eval_every=50", "train.optimizer.learning_rate=1e-2", "train.schedule.horizon=150", "model.dropout=0"});
  EXPECT_LT(summary.train_loss, 0.5 * run.record.steps.front().loss);
  EXPECT_GT(run.record.evaluations.back().f1, 0.5);
}

TEST_P(Answers, ACutRunEndsAsTheUnbrokenOne) {
  EXPECT_EQ(run.session("whole").exit_code, 0);
  run.session_stopped_after("cut", 5);
  EXPECT_EQ(run.session("cut").exit_code, 0);
  run.expect_same("whole", "cut", 12);
}

TEST_P(Answers, TheModelIsExportedAndComesBackAsItWas) {
  run.session("run");
  cli::Console console{{.verbosity = cli::Verbosity::kQuiet}};
  const std::string out = (run.folder / "public").string(), back = (run.folder / "back").string();
  cli::run_export({.model = (run.folder / "run").string(), .out = out}, console);
  const auto json = nlohmann::json::parse(content(run.folder / "public" / "config.json"));
  EXPECT_EQ(json.at("architectures"), nlohmann::json({GetParam().architecture}));
  cli::run_import({.source = out, .out = back}, console);
  EXPECT_EQ(parameters(run.folder / "back"), parameters(run.folder / "run"));
  EXPECT_THAT(content(run.folder / "back" / "config.yaml"), testing::HasSubstr("question_answering"));
  // It is trained on from there.
  EXPECT_EQ(run.exit_code("on", {"run.init_from=" + back, "train.steps=1"}), 0) << run.message;
}

const Encoder kEncoders[] = {
    {"longformer", "LongformerForQuestionAnswering", {"window=4", "global_tokens=data", "token_types=1", "padding_token=1", "position_offset=2"}},
    {"bigbird", "BigBirdForQuestionAnswering", {"block=2", "random_blocks=1", "random=public_training", "token_types=2", "norm_after_dropout=true", "head_transform=true"}},
};
INSTANTIATE_TEST_SUITE_P(Encoders, Answers, ::testing::ValuesIn(kEncoders), [](const auto& info) { return std::string(info.param.family); });

}  // namespace
}  // namespace longhaul::train
