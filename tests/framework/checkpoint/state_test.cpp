#include <bit>
#include <cstring>
#include <functional>
#include <limits>

#include "framework/base/sha256.h"
#include "framework/checkpoint/safetensors.h"
#include "tests/support/folder_test.h"
#include "tests/support/tiny_run.h"

namespace longhaul::checkpoint {
namespace {

/// A part made of two functions.
class FreePart final : public Stateful {
 public:
  std::function<void(StateWriter&)> save = [](StateWriter&) {};
  std::function<void(StateReader&)> load = [](StateReader&) {};
  void save_state(StateWriter& out) const override { save(out); }
  void load_state(StateReader& in) override { load(in); }
};

class StateTest : public FolderTest {
 protected:
  StateTest() { registry_.add("part", Section::kState, part_); }
  void save() {
    CheckpointContent content;
    content.step = 1;
    content.state = capture(registry_);
    save_checkpoint(folder_, content, {});
  }
  std::string said_by_load() {
    return message_of([&] { load_checkpoint(at("step-00000001"), registry_); });
  }
  std::string json() const { return "[checkpoint] " + at("step-00000001/state.json").string(); }

  FreePart part_;
  StateRegistry registry_;
  const std::string hint_ = "\n  hint: it was saved by another version of Longhaul or with another configuration";
};

TEST_F(StateTest, ScalarsComeBackWithTheSameBits) {
  const std::vector<double> reals = {0.1,
                                     -0.0,
                                     1.0,
                                     5e-324,
                                     std::numeric_limits<double>::max(),
                                     std::numeric_limits<double>::infinity(),
                                     -std::numeric_limits<double>::infinity(),
                                     std::bit_cast<double>(uint64_t{0x7ff4000000001234}),
                                     1.0 / 3};
  const std::vector<int64_t> integers = {0, -1, INT64_MIN, INT64_MAX};
  part_.save = [&](StateWriter& out) {
    out.reals("reals", reals);
    for (size_t i = 0; i < reals.size(); ++i) out.real("real" + std::to_string(i), reals[i]);
    out.integers("integers", integers);
    out.integer("least", INT64_MIN);
    out.text("text", "a \"quoted\"\nline \xc3\xa4");
    out.integers("none", {});
  };
  save();
  bool read = false;
  part_.load = [&](StateReader& in) {
    const std::vector<double> back = in.reals("reals");
    ASSERT_EQ(back.size(), reals.size());
    EXPECT_EQ(std::memcmp(back.data(), reals.data(), reals.size() * sizeof(double)), 0);
    for (size_t i = 0; i < reals.size(); ++i) {
      EXPECT_EQ(std::bit_cast<uint64_t>(in.real("real" + std::to_string(i))), std::bit_cast<uint64_t>(reals[i])) << i;
    }
    EXPECT_EQ(in.integers("integers"), integers);
    EXPECT_EQ(in.integer("least"), INT64_MIN);
    EXPECT_EQ(in.text("text"), "a \"quoted\"\nline \xc3\xa4");
    EXPECT_TRUE(in.integers("none").empty());
    read = true;
  };
  EXPECT_EQ(said_by_load(), "no error");
  EXPECT_TRUE(read);
}

TEST_F(StateTest, APartMayAskWhichTensorsItHas) {
  part_.save = [](StateWriter& out) {
    out.tensor("b", Tensor::of(Shape({2}), std::vector<int64_t>{1, 2}));
    out.tensor("a", Tensor::of(Shape({1}), std::vector<float>{3}));
  };
  save();
  part_.load = [](StateReader& in) {
    EXPECT_EQ(in.tensor_names(), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(in.tensor("b").data<int64_t>()[1], 2);
    EXPECT_EQ(in.tensor("a").data<float>()[0], 3);
  };
  EXPECT_EQ(said_by_load(), "no error");
}

TEST_F(StateTest, AMissingEntryIsAnError) {
  save();
  part_.load = [](StateReader& in) { in.integer("counter"); };
  EXPECT_EQ(said_by_load(), json() + ": there is no entry \"part.counter\"" + hint_);
  part_.load = [](StateReader& in) { in.tensor("memory"); };
  EXPECT_EQ(said_by_load(), json() + ": part \"part\" has no tensors, the run needs \"memory\"");
}

TEST_F(StateTest, AnUnknownEntryIsAnError) {
  part_.save = [](StateWriter& out) {
    out.integer("counter", 1);
    out.tensor("memory", Tensor::of(Shape({1}), std::vector<float>{3}));
  };
  save();
  EXPECT_EQ(said_by_load(), json() + ": the entry \"part.counter\" is unknown to this run" + hint_);
  part_.load = [](StateReader& in) { in.integer("counter"); };
  EXPECT_EQ(said_by_load(), "[checkpoint] " + at("step-00000001/state.safetensors").string() +
                                ": the tensor \"part.memory\" is unknown to this run" + hint_);
}

TEST_F(StateTest, AnEntryOfAnotherTypeIsAnError) {
  part_.save = [](StateWriter& out) {
    out.text("a", "bits:xyz");
    out.tensor("t", Tensor::of(Shape({1}), std::vector<float>{3}));
  };
  save();
  part_.load = [](StateReader& in) { in.integer("a"); };
  EXPECT_EQ(said_by_load(), json() + ": the entry \"part.a\" is not a whole number");
  part_.load = [](StateReader& in) { in.real("a"); };
  EXPECT_EQ(said_by_load(), json() + ": the entry \"part.a\" is not a number");
  part_.load = [](StateReader& in) { in.integers("a"); };
  EXPECT_EQ(said_by_load(), json() + ": the entry \"part.a\" is not a list of whole numbers");
  part_.load = [](StateReader& in) { in.tensor("t", Tensor::zeros(Shape({1}), DType::kBF16, Device::cpu())); };
  EXPECT_EQ(said_by_load(), "[checkpoint] " + at("step-00000001/state.safetensors").string() +
                                ": tensor \"part.t\" is F32, the run has BF16");
}

TEST_F(StateTest, PartsMustBeThoseOfTheCheckpoint) {
  save();
  FreePart more;
  StateRegistry other;
  other.add("other", Section::kState, more);
  EXPECT_EQ(message_of([&] { load_checkpoint(at("step-00000001"), other); }),
            json() + ": the part \"part\" is unknown to this run" + hint_);
  registry_.add("other", Section::kState, more);
  EXPECT_EQ(said_by_load(), json() + ": there is no part \"other\"" + hint_);
}

TEST_F(StateTest, MistakesOfAPartAreBugsOfThisProgram) {
  part_.save = [](StateWriter& out) {
    out.integer("a", 1);
    out.integer("a", 2);
  };
  EXPECT_EQ(message_of([&] { capture(registry_); }),
            "[internal] state \"part.a\" is written twice. This is a bug in Longhaul");
  FreePart more;
  EXPECT_EQ(message_of([&] { registry_.add("part", Section::kState, more); }),
            "[internal] two stateful parts are named \"part\". This is a bug in Longhaul");
  EXPECT_EQ(message_of([&] { registry_.add("a.b", Section::kState, more); }),
            "[internal] \"a.b\" is no name of a stateful part. This is a bug in Longhaul");
  registry_.add("model", Section::kModel, more);
  EXPECT_EQ(message_of([&] { registry_.add("second", Section::kModel, more); }),
            "[internal] stateful parts \"model\" and \"second\" share model.safetensors. This is a bug in Longhaul");
}

TEST_F(StateTest, TheStateHashTellsStatesApart) {
  EXPECT_EQ(TinyRun::hash_at(3), TinyRun::hash_at(3));
  EXPECT_NE(TinyRun::hash_at(3), TinyRun::hash_at(4));
}

class WeightsTest : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    TinyRun::save(folder_, 3);
    file_ = at("step-00000003/model.safetensors").string();
  }
  std::string file_;
};

TEST_F(WeightsTest, WeightsAloneAreLoadedAndConverted) {
  const Tensor embedding = Tensor::zeros(Shape({32, 24}), DType::kF64, Device::cpu());
  const Tensor bias = Tensor::zeros(Shape({16}), DType::kF32, Device::cpu());
  EXPECT_EQ(load_weights(at("step-00000003"), {{"embedding.weight", embedding}, {"layers.0.bias", bias}}).step, 3);
  const SafetensorsReader reader(file_);
  const Tensor stored = reader.read(reader.entry("embedding.weight"));
  for (int i = 0; i < 32 * 24; ++i) EXPECT_EQ(embedding.data<double>()[i], stored.data<float>()[i]);
}

TEST_F(WeightsTest, NamesMustMatchExactly) {
  const Tensor embedding = Tensor::zeros(Shape({32, 24}), DType::kF32, Device::cpu());
  EXPECT_EQ(message_of([&] {
              load_weights(at("step-00000003"), {{"embedding.weight", embedding}});
            }),
            "[checkpoint] " + file_ + ": the tensor \"layers.0.bias\" is unknown to the model");
  EXPECT_EQ(message_of([&] {
              load_weights(at("step-00000003"), {{"head.weight", embedding}});
            }),
            "[checkpoint] " + file_ + ": there is no tensor \"head.weight\", which the model has");
}

TEST_F(WeightsTest, ModelNamesARunACheckpointOrNothing) {
  io::make_folder(at("run"));
  io::rename(at("step-00000003"), at("saved"));
  TinyRun::save(at("run/checkpoints"), 9);
  EXPECT_EQ(resolve_model(at("run")), at("run/checkpoints/step-00000009"));
  EXPECT_EQ(resolve_model(at("run/checkpoints/step-00000009")), at("run/checkpoints/step-00000009"));
  EXPECT_EQ(resolve_model(at("saved")), at("saved"));
  const std::string hint = "\n  hint: give a run folder, a checkpoint folder or a folder made by import";
  EXPECT_EQ(message_of([&] { resolve_model(at("no")); }), "[model] " + at("no").string() + " does not exist");
  EXPECT_EQ(message_of([&] { resolve_model(at("saved/state.json")); }),
            "[model] " + at("saved/state.json").string() + " is not a folder" + hint);
  io::make_folder(at("empty"));
  EXPECT_EQ(message_of([&] { resolve_model(at("empty")); }),
            "[model] " + at("empty").string() + " holds neither manifest.json nor a checkpoint" + hint);
}

}  // namespace
}  // namespace longhaul::checkpoint
