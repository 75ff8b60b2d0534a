// Without memory, at any allocation: configuration, tokenizers, data, a step and a whole session end with an error and
// leave no half-made file.
#include <fmt/format.h>

#include <cstring>

#include "data/dataset.h"
#include "framework/base/threads.h"
#include "tests/allocation/failing_new.h"
#include "tests/train/trainer/tiny_run.h"
#include "train/trainer/from_config.h"
#include "train/trainer/stages.h"
#include "train/trainer/trainee.h"

namespace longhaul::train {
namespace {

using longhaul::testing::each_allocation_fails;

class OutOfMemory : public ::testing::Test {
 protected:
  static void nothing(int64_t) {}
  TinyRun run{"steps: 6"};
};

TEST_F(OutOfMemory, AConfigurationIsNotLoaded) {
  run.config();
  const std::string path = (run.folder / "tiny.yaml").string();
  EXPECT_GT(each_allocation_fails([&] { config::load_config(path, {"model.dim=32"}); }, nothing, 5), 500);
}

TEST_F(OutOfMemory, NoTokenizerIsTrainedOrLoaded) {
  const std::string text = content(run.folder / "valid.txt");
  for (const auto kind :
       {data::TokenizerKind::kByte, data::TokenizerKind::kChar, data::TokenizerKind::kWord, data::TokenizerKind::kBpe}) {
    data::TokenizerOptions options;
    options.kind = kind;
    if (kind == data::TokenizerKind::kBpe) options.vocabulary_size = 262;
    const data::TextSource source = [&](const auto& take) {
      take(text);
      take({});
    };
    const fs::path folder = run.folder / "tokenizer";
    EXPECT_GT(each_allocation_fails(
                  [&] {
                    fs::create_directory(folder);
                    const auto made = data::train_tokenizer(options, source);
                    made->save(folder.string());
                    const auto read = data::load_tokenizer_folder(folder.string());
                    EXPECT_TRUE(read->hash() == made->hash());
                    EXPECT_TRUE(read->encode(text) == made->encode(text));
                  },
                  [&](int64_t) { fs::remove_all(folder); }, 13),
              20)
        << data::name_of(kind);
  }
}

TEST_F(OutOfMemory, NoHalfTokenisedTextStays) {
  const auto tokenizer = data::load_tokenizer({});
  const fs::path cache = run.folder / "cache";
  data::DataEntry entry;
  entry.path = (run.folder / "train.txt").string();
  EXPECT_GT(each_allocation_fails(
                [&] {
                  const auto source = data::open_split("train", {entry}, tokenizer,
                                                       {.corpus = {}, .cache_folder = cache.string()});
                  std::vector<int32_t> ids(8);
                  source->read(0, ids);
                },
                [&](int64_t n) {
                  if (!fs::exists(cache)) return;
                  for (const auto& found : fs::directory_iterator(cache)) {
                    ASSERT_EQ(found.path().filename().string().find(".tmp"), std::string::npos) << n;
                  }
                  fs::remove_all(cache);
                },
                3),
            100);
}

std::string bytes_of(const Trainee& trainee) {
  std::string out;
  for (const nn::NamedParameter& parameter : trainee.model().parameters()) {
    const Tensor& value = parameter.variable.value();
    out.append(static_cast<const char*>(value.raw()), static_cast<size_t>(value.bytes()));
  }
  return out;
}

/// A step that fails has done all of its update or nothing.
TEST_F(OutOfMemory, AStepEndsWithAnError) {
  for (const char* precision : {"f32", "bf16"}) {
    const config::Config config = run.config({fmt::format("run.precision={}", precision), "run.threads=1"});
    set_thread_count(1);
    const Stage stage = stages_of(config).front();
    Trainee trainee(config, 256, stage, 2);
    const Tensor tokens = Tensor::zeros({4, 16}, DType::kI32, Device::cpu());
    const StepInput input{.batch = {.inputs = {.tokens = tokens}, .targets = tokens}, .scored = 64, .step = 1, .learning_rate = 1e-3};
    const auto clear = [&] {
      for (const nn::NamedParameter& p : trainee.model().parameters()) p.variable.clear_gradient();
    };
    trainee.step().run(input);  // library plans and scratch of the threads are there afterwards
    clear();
    std::string before = bytes_of(trainee);
    int64_t updates = trainee.optimizer().updates();
    EXPECT_GT(each_allocation_fails(
                  [&] {
                    const auto outcome = trainee.step().run(input);
                    EXPECT_FALSE(outcome.skipped);
                  },
                  [&](int64_t n) {
                    clear();
                    const std::string after = bytes_of(trainee);
                    EXPECT_EQ(after != before, trainee.optimizer().updates() != updates) << "allocation " << n;
                    before = after;
                    updates = trainee.optimizer().updates();
                  }),
              200);
    // Memory of tensors is asked for elsewhere than the heap.
    int64_t failed = 0;
    for (bool through = false; !through && !HasFailure(); ++failed) {
      device_memory(Device::cpu()).fail_at(failed + 1);
      try {
        trainee.step().run(input);
        through = true;
      } catch (const FailureError& error) {
        EXPECT_NE(std::string(error.what()).find("[memory]"), std::string::npos) << error.what();
      }
      device_memory(Device::cpu()).fail_at(0);
      clear();
    }
    EXPECT_GT(failed, 20);
    set_thread_count(0);
  }
}

/// A whole session: every failure ends it, and the same command goes on to the same end.
TEST_F(OutOfMemory, ASessionEndsWithAnErrorAndCanBeContinued) {
  run.overrides = {"run.threads=1", "train.checkpoint.every=2"};
  EXPECT_EQ(run.session("whole").exit_code, 0);
  const int64_t stride = longhaul::testing::nightly() ? 11 : 1499;
  int64_t failed = 0;
  for (int64_t n = 0;; n += stride) {
    fs::remove_all(run.folder / "cut");
    bool hit = false;
    {
      const longhaul::testing::FailingNew failing(n);
      try {
        run.session("cut");
      } catch (const std::bad_alloc&) {
      } catch (const Error&) {
      }
      hit = longhaul::testing::FailingNew::hit();
    }
    if (!hit) break;
    ++failed;
    EXPECT_EQ(run.session("cut").exit_code, 0) << "allocation " << n;
    run.expect_same("whole", "cut", 6);
    if (HasFailure()) break;
  }
  EXPECT_GT(failed, 5);
  set_thread_count(0);
}

}  // namespace
}  // namespace longhaul::train
