// defines: TinyRun and what tests of runs share: a folder, a text, a configuration, observers that interrupt
#pragma once
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"
#include "train/config/load.h"
#include "train/trainer/training.h"

namespace longhaul::train {

namespace fs = std::filesystem;

inline std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

inline void put(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// A folder for one test, removed at its end.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (fs::temp_directory_path() / "longhaul-run-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TestFolder() { fs::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// What a killed process would do, as far as files go: nothing is saved on the way out.
struct Killed {};

/// Keeps what a run tells, and calls back after each step.
struct Watcher final : Observer {
  struct Record {
    std::vector<StepMetrics> steps, logs;
    std::vector<EvaluationMetrics> evaluations;
    std::vector<int64_t> saved;
    RunStart start;
    RunSummary end;
  };
  Record* record = nullptr;
  std::function<void()> started;
  std::function<void(const StepMetrics&)> stepped;
  std::function<void(const EvaluationMetrics&)> evaluated;
  std::function<void()> flushed;

  void on_start(const RunStart& event) override {
    record->start = event;
    if (started) started();
  }
  void on_step(const StepMetrics& event) override {
    record->steps.push_back(event);
    if (stepped) stepped(event);
  }
  void on_log(const StepMetrics& event) override { record->logs.push_back(event); }
  void on_evaluation(const EvaluationMetrics& event) override {
    record->evaluations.push_back(event);
    if (evaluated) evaluated(event);
  }
  void on_checkpoint(const SavedCheckpoint& event) override { record->saved.push_back(event.step); }
  void flush() override {
    if (flushed) flushed();
  }
  void on_end(const RunSummary& event) override { record->end = event; }
};

/// A run of a two-layer model of width 16 on a text of 80 samples: 20 steps an epoch, two micro-batches a step,
/// dropout, shuffling, warm-up and decay.
class TinyRun {
 public:
  explicit TinyRun(const std::string& train = "steps: 60", const std::string& model = "family: transformer") {
    std::string text;
    for (uint32_t i = 0, x = 12345; i < 1275; ++i) {
      x = x * 1664525u + 1013904223u;
      text += static_cast<char>(x >> 24 < 50 ? ' ' : 'a' + (x >> 16) % 26);
    }
    put(folder / "train.txt", text);
    put(folder / "valid.txt", text.substr(200, 180));
    yaml =
        "run: {name: tiny, seed: 7, hash_every: 4}\n"
        "data:\n"
        "  train: [train.txt]\n"
        "  valid: [valid.txt]\n"
        "  sequence_length: 16\n"
        "  cache: cache\n"
        "model: {" +
        model +
        ", dim: 16, layers: 2, heads: 2, feedforward: 32, dropout: 0.1}\n"
        "train:\n"
        "  " +
        train +
        "\n"
        "  batch_size: 4\n"
        "  micro_batch: 2\n"
        "  optimizer: {kind: adamw, learning_rate: 3e-3, weight_decay: 0.1}\n"
        "  schedule: {kind: cosine, warmup: 6, final: 0.1, horizon: 60}\n"
        "  log_every: 3\n"
        "  eval_every: 14\n"
        "  checkpoint: {every: 10, keep: 2}\n";
  }

  config::Config config(const std::vector<std::string>& set = {}) const {
    put(folder / "tiny.yaml", yaml);
    std::vector<std::string> all = overrides;
    all.insert(all.end(), set.begin(), set.end());
    return config::load_config((folder / "tiny.yaml").string(), all).config;
  }

  /// One session of the run in `name`.
  RunSummary session(const std::string& name, const std::vector<std::string>& set = {}) {
    TrainingOptions options;
    options.run = folder / name;
    options.fresh = fresh;
    options.strict = strict;
    options.probe = probe;
    options.observe = [this](const io::Path&) {
      auto watcher = std::make_unique<Watcher>();
      record = {};
      watcher->record = &record;
      watcher->started = started;
      watcher->stepped = stepped;
      watcher->evaluated = evaluated;
      watcher->flushed = flushed;
      return watcher;
    };
    return run_training(config(set), options);
  }
  /// The exit code of a session, whatever way it ends.
  int exit_code(const std::string& name, const std::vector<std::string>& set = {}) {
    try {
      return session(name, set).exit_code;
    } catch (const Error& error) {
      message = error.what();
      return error.exit_code();
    }
  }
  /// Sessions until the run is finished, each asked to stop after the steps `cuts` allows.
  void session_stopped_after(const std::string& name, int64_t step) {
    stepped = [step](const StepMetrics& metrics) {
      if (metrics.step == step) std::raise(SIGTERM);
    };
    EXPECT_EQ(session(name).exit_code, 128 + SIGTERM);
    stepped = nullptr;
  }
  void session_killed_after(const std::string& name, int64_t step) {
    stepped = [step](const StepMetrics& metrics) {
      if (metrics.step == step) throw Killed{};
    };
    EXPECT_THROW(session(name), Killed);
    stepped = nullptr;
  }

  fs::path checkpoint(const std::string& name, int64_t step) const {
    return folder / name / "checkpoints" / checkpoint::folder_name(step);
  }
  std::string journal(const std::string& name) const { return content(folder / name / "journal.jsonl"); }

  /// The data of a safetensors file without its header, which names the configuration (run.threads is part of it).
  static std::string tensor_bytes(const fs::path& file) {
    const std::string text = content(file);
    uint64_t header = 0;
    if (text.size() >= sizeof header) std::memcpy(&header, text.data(), sizeof header);
    return text.empty() ? text : text.substr(sizeof header + header);
  }

  /// Bitwise: parameters, optimizer, other tensors and the journal, which holds hashes of the whole state.
  void expect_same(const std::string& one, const std::string& other, int64_t step) const {
    for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.safetensors"}) {
      const std::string a = tensor_bytes(checkpoint(one, step) / file), b = tensor_bytes(checkpoint(other, step) / file);
      EXPECT_EQ(a.empty(), b.empty()) << file;
      EXPECT_TRUE(a == b) << file << " of " << one << " and " << other << " differ at step " << step;
    }
    EXPECT_FALSE(content(checkpoint(one, step) / "model.safetensors").empty());
    EXPECT_TRUE(journal(one) == journal(other)) << "journals of " << one << " and " << other << " differ";
  }

  TestFolder folder;
  std::string yaml;
  std::vector<std::string> overrides;
  bool fresh = false, strict = false;
  TrainingStep::Probe probe;
  std::function<void()> started, flushed;
  std::function<void(const StepMetrics&)> stepped;
  std::function<void(const EvaluationMetrics&)> evaluated;
  Watcher::Record record;
  std::string message;  // of the last error
};

}  // namespace longhaul::train
