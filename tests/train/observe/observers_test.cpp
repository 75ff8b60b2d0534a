#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/train/temporary_folder.h"
#include "train/observe/format.h"
#include "train/observe/progress.h"
#include "train/observe/recorders.h"
#include "train/observe/summary.h"

namespace longhaul::train {
namespace {

using testing::HasSubstr;
using testing::Not;

StepMetrics step(int64_t number) {
  return {.step = number,
          .tokens = number * 1024,
          .epoch = 0.5,
          .loss = 2.5,
          .learning_rate = 3e-4,
          .grad_norm = 0.83,
          .tokens_per_second = 1312.4,
          .memory = 911212544,
          .seconds = 10,
          .remaining_seconds = 130};
}

// A console that writes to memory.
class Screen {
 public:
  explicit Screen(const cli::Console::Options& options)
      : out_(open_memstream(&out_text_, &out_size_)),
        err_(open_memstream(&err_text_, &err_size_)),
        console(std::make_unique<cli::Console>(options, out_, err_)) {}
  ~Screen() {
    console.reset();
    std::fclose(out_);
    std::fclose(err_);
    std::free(out_text_);
    std::free(err_text_);
  }
  std::string err() {
    std::fflush(err_);
    return {err_text_, err_size_};
  }

 private:
  char* out_text_ = nullptr;
  char* err_text_ = nullptr;
  size_t out_size_ = 0, err_size_ = 0;
  std::FILE* out_;
  std::FILE* err_;

 public:
  std::unique_ptr<cli::Console> console;
};

TEST(Format, NumbersAreShortAndGrouped) {
  EXPECT_EQ(grouped(1312.4), "1,312");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(99.96), "100");
  EXPECT_EQ(grouped(52.24), "52.2");
  EXPECT_EQ(grouped(3.14159), "3.14");
  EXPECT_EQ(short_count(812), "812");
  EXPECT_EQ(short_count(12345), "12.3K");
  EXPECT_EQ(short_count(262800000), "262.8M");
  EXPECT_EQ(short_count(1e9), "1.00G");
  EXPECT_EQ(short_duration(42), "42s");
  EXPECT_EQ(short_duration(187), "3m07s");
  EXPECT_EQ(short_duration(7810), "2h10m");
  EXPECT_EQ(short_duration(273600), "3d04h");
  EXPECT_EQ(short_duration(kUnknown), "?");
}

TEST(Progress, APlainLineNamesEveryFigureWithItsUnit) {
  EXPECT_EQ(step_line(step(4010)),
            "[train]  step 4010 | 4.11M tokens | loss 2.5000 nats/token | grad 0.83 | rate 0.0003 | 1,312 tokens/s | "
            "869MiB | 2m10s left");
}

TEST(Progress, WithoutATerminalEachLogStepIsALine) {
  Screen screen({});
  ProgressObserver progress(*screen.console, [] { return 0.0; });
  progress.on_start({.name = "a", .folder = "runs/a", .config = "", .device = "cpu", .precision = "f32"});
  progress.on_step(step(1));
  progress.on_step(step(2));
  progress.on_log(step(2));
  EXPECT_EQ(screen.err(), "[run] a in runs/a: 0 parameters, f32 on cpu, 1 thread\n" + step_line(step(2)) + "\n");
}

TEST(Progress, OnATerminalOneLineIsRewrittenAtIntervals) {
  Screen screen({.live = true});
  double now = 0;
  ProgressObserver progress(*screen.console, [&now] { return now; });
  progress.on_start({.name = "a", .folder = "r", .config = "", .device = "cpu", .precision = "f32", .last_step = 100});
  const std::string start = screen.err();
  progress.on_step(step(1));
  progress.on_step(step(2));  // too soon after the first
  now = 1;
  progress.on_step(step(3));
  progress.on_end({});
  const std::string shown = screen.err().substr(start.size());
  EXPECT_EQ(shown,
            "\rstep 1/100 1 % | loss 2.5000 | 1,312 tokens/s | 869MiB | 2m10s left"
            "\rstep 3/100 3 % | loss 2.5000 | 1,312 tokens/s | 869MiB | 2m10s left\n");
}

TEST(Progress, ALongEvaluationIsSeenToMove) {
  double now = 0;
  const auto progress_of = [](int64_t scored) {
    return EvaluationProgress{.step = 7, .split = "valid", .scored = scored, .tokens = 200};
  };
  Screen live({.live = true});
  ProgressObserver terminal(*live.console, [&now] { return now; });
  terminal.on_evaluating(progress_of(50));
  terminal.on_evaluating(progress_of(60));  // too soon
  terminal.on_end({});
  EXPECT_EQ(live.err(), "\r[eval]   step 7 | 50 of 200 valid tokens, 25 %\n");

  Screen plain({});
  ProgressObserver file(*plain.console, [&now] { return now; });
  for (const int64_t scored : {10, 50, 100, 150}) {
    file.on_evaluating(progress_of(scored));
    now += 16;
  }
  EXPECT_EQ(plain.err(), "[eval]   step 7 | 100 of 200 valid tokens, 50 %\n");
}

TEST(Progress, QuietMeansQuiet) {
  Screen screen({.verbosity = cli::Verbosity::kQuiet, .live = true});
  ProgressObserver progress(*screen.console);
  progress.on_start({});
  progress.on_step(step(1));
  progress.on_log(step(1));
  progress.on_evaluation({.step = 1, .split = "valid", .loss = 1});
  progress.on_end({});
  EXPECT_EQ(screen.err(), "");
}

TEST(Progress, ColourIsOnlyForTerminalsThatWantIt) {
  for (const bool color : {false, true}) {
    Screen screen({.color = color});
    ProgressObserver(*screen.console).on_evaluation({.step = 1, .split = "valid", .loss = 1, .perplexity = 2.7});
    EXPECT_EQ(screen.err().find('\x1b') != std::string::npos, color);
    EXPECT_THAT(screen.err(), HasSubstr("step 1 | valid loss 1.0000 nats/token | perplexity 2.7"));
  }
}

TEST(Metrics, AStepHasOneLineWithItsEvaluation) {
  TemporaryFolder folder;
  MetricsFile file(folder.path() / "metrics.jsonl");
  file.on_start({});
  file.on_step(step(1));
  file.on_log(step(1));
  file.on_evaluation({.step = 1, .split = "valid", .loss = 1.5, .perplexity = 4.5, .tokens = 7, .seconds = 2});
  file.on_step(step(2));
  file.on_evaluation({.step = 2, .split = "valid", .loss = 1.25, .perplexity = 3.5, .tokens = 7, .seconds = 2});
  file.on_end({});
  EXPECT_EQ(io::read_file(folder.path() / "metrics.jsonl"),
            "{\"step\":1,\"tokens\":1024,\"loss\":2.5,\"learning_rate\":0.0003,\"grad_norm\":0.83,"
            "\"tokens_per_second\":1312.4,\"memory\":911212544,\"epoch\":0.5,\"seconds\":10.0,\"skipped_steps\":0,"
            "\"valid_loss\":1.5,\"valid_perplexity\":4.5,\"valid_bits_per_byte\":null,\"valid_word_perplexity\":null,"
            "\"valid_tokens\":7,\"valid_seconds\":2.0}\n"
            "{\"step\":2,\"valid_loss\":1.25,\"valid_perplexity\":3.5,\"valid_bits_per_byte\":null,"
            "\"valid_word_perplexity\":null,\"valid_tokens\":7,\"valid_seconds\":2.0}\n");
}

TEST(Metrics, WhatIsToldAfterACheckpointJoinsTheLineOfItsStep) {
  TemporaryFolder folder;
  MetricsFile file(folder.path() / "metrics.jsonl");
  file.on_start({});
  file.on_log(step(1));
  file.on_log(step(2));
  file.flush();
  file.on_evaluation({.step = 2, .split = "test", .loss = 1.5, .perplexity = 4.5});
  file.on_end({});
  std::istringstream lines(io::read_file(folder.path() / "metrics.jsonl"));
  std::vector<nlohmann::json> found;
  for (std::string line; std::getline(lines, line);) found.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0]["step"], 1);
  EXPECT_EQ(found[1]["step"], 2);
  EXPECT_EQ(found[1]["loss"], 2.5);
  EXPECT_EQ(found[1]["test_loss"], 1.5);
}

TEST(Metrics, AContinuedRunAddsToTheFile) {
  TemporaryFolder folder;
  const io::Path path = folder.path() / "metrics.jsonl";
  for (const int64_t number : {1, 2}) {
    MetricsFile file(path);
    file.on_start({});
    file.on_log(step(number));
    file.flush();
  }
  const std::string text = io::read_file(path);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(Metrics, ALossThatIsNoNumberIsNull) {
  TemporaryFolder folder;
  MetricsFile file(folder.path() / "metrics.jsonl");
  file.on_start({});
  StepMetrics skipped = step(3);
  skipped.loss = kUnknown;
  file.on_log(skipped);
  file.on_end({});
  EXPECT_THAT(io::read_file(folder.path() / "metrics.jsonl"), HasSubstr("\"loss\":null"));
}

TEST(LossPlot, ShowsTrainingAndValidationOfAllSessions) {
  TemporaryFolder folder;
  io::write_new_file(folder.path() / "m.jsonl",
                     "{\"step\":1,\"loss\":3.0}\n{\"step\":2,\"loss\":2.0,\"valid_loss\":2.5}\n{\"step\":3,\"lo");
  LossPlot plot(folder.path() / "m.jsonl", folder.path() / "loss.svg");
  RunStart start;
  start.name = "books";
  plot.on_start(start);
  plot.on_end({});
  const std::string svg = io::read_file(folder.path() / "loss.svg");
  EXPECT_THAT(svg, HasSubstr("Loss of books"));
  EXPECT_THAT(svg, HasSubstr(">validation</text>"));
  EXPECT_THAT(svg, Not(HasSubstr("no data")));
}

TEST(TensorBoardObserver, EventsCarryTheFiguresOfTheRun) {
  TemporaryFolder folder;
  TensorBoardObserver observer(folder.path() / "events", [] { return 1700000000.0; });
  observer.on_start({});
  observer.on_log(step(5));
  observer.on_evaluation({.step = 5, .split = "valid", .loss = 1.5, .perplexity = 4.5, .bits_per_byte = 2});
  observer.flush();
  const auto names = io::list(folder.path() / "events");
  ASSERT_EQ(names.size(), 1u);
  EXPECT_TRUE(names[0].starts_with("events.out.tfevents.1700000000."));
  const std::string bytes = io::read_file(folder.path() / "events" / names[0]);
  const std::string evaluation = event_record(
      {1700000000.0, 5, {{"valid/loss", 1.5f}, {"valid/perplexity", 4.5f}, {"valid/bits_per_byte", 2.0f}}});
  EXPECT_TRUE(bytes.starts_with(version_record(1700000000.0)));
  EXPECT_TRUE(bytes.ends_with(evaluation));
  EXPECT_THAT(bytes, HasSubstr("train/loss"));
}

const RunSummary kSummary{.steps = 2000,
                          .tokens = 1536000,
                          .seconds = 90.5,
                          .train_loss = 1.75,
                          .valid_loss = 1.875,
                          .valid_perplexity = 6.5,
                          .tokens_per_second = 17000,
                          .peak_memory_bytes = 268435456,
                          .run = "runs/shakespeare",
                          .status = "finished"};

TEST(Summary, IsATableForAPerson) {
  EXPECT_EQ(summary_text(kSummary),
            "status                 finished\n"
            "steps                  2000\n"
            "tokens                 1.54M\n"
            "time                   1m31s\n"
            "training loss          1.7500 nats/token\n"
            "validation loss        1.8750 nats/token\n"
            "validation perplexity  6.5000 per token\n"
            "speed                  17,000 tokens/s\n"
            "peak memory            256MiB\n"
            "run                    runs/shakespeare");
}

TEST(Summary, IsOneJsonObjectForAScript) {
  EXPECT_EQ(summary_json(kSummary),
            "{\"steps\":2000,\"tokens\":1536000,\"seconds\":90.5,\"train_loss\":1.75,\"valid_loss\":1.875,"
            "\"valid_perplexity\":6.5,\"bits_per_byte\":null,\"test_loss\":null,\"test_perplexity\":null,"
            "\"test_bits_per_byte\":null,\"tokens_per_second\":17000.0,"
            "\"peak_memory_bytes\":268435456,\"run\":\"runs/shakespeare\",\"status\":\"finished\"}");
}

}  // namespace
}  // namespace longhaul::train
