#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "framework/base/error.h"
#include "tests/train/small_model.h"
#include "tests/train/temporary_folder.h"
#include "train/generate/state_file.h"

namespace longhaul::train {
namespace {

std::unique_ptr<models::LanguageModel> recurrent() {
  return small_model({.family = "transformer_xl", .positions = models::Positions::kNone, .max_positions = 12});
}

GenerateRequest greedy(std::vector<int32_t> prompt, int64_t count) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_new = count;
  request.sampling.temperature = 0;
  request.keep_state = true;
  return request;
}

TEST(GenerationState, SessionsGoOnAsIfTheyWereOne) {
  const auto model = recurrent();
  const Generation whole = generate(*model, greedy({5, 9, 200, 7}, 60));
  std::vector<int32_t> made;
  GenerationState state;
  for (const int64_t count : {1, 20, 0, 39}) {
    GenerateRequest request = greedy({}, count);
    if (made.empty()) request.prompt = {5, 9, 200, 7};
    else request.before = &state;
    const Generation part = generate(*model, request);
    made.insert(made.end(), part.tokens.begin(), part.tokens.end());
    state = part.state;
  }
  EXPECT_EQ(made, whole.tokens);
  EXPECT_EQ(state.memory.at("layers.1").size(1), 12) << "it does not grow with the text";
}

TEST(GenerationState, AFileGivesItBackAndIsChecked) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "story.state";
  const auto model = recurrent();
  const Generation first = generate(*model, greedy({5, 9, 200, 7}, 20));
  write_generation_state(file, first.state, "weights");
  write_generation_state(file, first.state, "weights");  // over an earlier one
  const GenerationState read = read_generation_state(file, "weights");
  EXPECT_EQ(read.last, first.state.last);
  for (const auto& [name, tensor] : first.state.memory) {
    ASSERT_EQ(read.memory.at(name).shape(), tensor.shape());
    EXPECT_EQ(std::memcmp(read.memory.at(name).raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0);
  }
  EXPECT_THROW(read_generation_state(file, "other weights"), CheckpointError);
  std::string bytes;
  {
    std::ifstream in(file, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (const size_t at : {size_t{3}, bytes.size() / 2, bytes.size() - 1}) {
    std::string damaged = bytes;
    damaged[at] ^= 1;
    std::ofstream(file, std::ios::binary) << damaged;
    EXPECT_THROW(read_generation_state(file, "weights"), CheckpointError) << at;
  }
  std::ofstream(file, std::ios::binary) << bytes.substr(0, bytes.size() / 2);
  EXPECT_THROW(read_generation_state(file, "weights"), CheckpointError);
}

TEST(GenerationState, IsForModelsOfConstantMemory) {
  EXPECT_THROW(generate(*small_model(), greedy({5}, 3)), ConfigError);
  GenerateRequest beams = greedy({5}, 3);
  beams.beams = 2;
  EXPECT_THROW(generate(*recurrent(), beams), ConfigError);
}

}  // namespace
}  // namespace longhaul::train
