#include "framework/optim/average.h"

#include <gtest/gtest.h>

#include "tests/framework/optim/memory_state.h"

namespace longhaul::optim {
namespace {

Parameter parameter(const std::vector<float>& values) {
  return {"w", Variable::parameter(Tensor::of({static_cast<int64_t>(values.size())}, values))};
}

float at(const Parameter& p, int i) { return p.variable.value().data<float>()[i]; }

TEST(MovingAverage, FollowsTheParameters) {
  const Parameter w = parameter({1, -2});
  const MovingAverage average({w}, 0.75);
  w.variable.value().data<float>()[0] = 5;
  average.update();
  const MovingAverage::Swap swapped(average);
  EXPECT_FLOAT_EQ(at(w, 0), 0.75f * 1 + 0.25f * 5);
  EXPECT_FLOAT_EQ(at(w, 1), -2);
}

TEST(MovingAverage, SwapGivesEveryBitBackAndTellsRoundedCopies) {
  const Parameter w = parameter({1.0f / 3, 7});
  const MovingAverage average({w}, 0.5);
  w.variable.value().data<float>()[0] = 1.0f / 7;
  average.update();
  w.variable.changed();
  const float rounded = static_cast<float>(w.variable.value_as(DType::kBF16).data<bfloat16>()[0]);
  {
    const MovingAverage::Swap swapped(average);
    EXPECT_NE(static_cast<float>(w.variable.value_as(DType::kBF16).data<bfloat16>()[0]), rounded);
  }
  EXPECT_EQ(at(w, 0), 1.0f / 7);
  EXPECT_EQ(static_cast<float>(w.variable.value_as(DType::kBF16).data<bfloat16>()[0]), rounded);
}

TEST(MovingAverage, AStateTakenOverContinuesBitForBit) {
  const Parameter w = parameter({0.1f, 0.2f, 0.3f});
  const MovingAverage average({w}, 0.9);
  w.variable.value().data<float>()[1] = 4;
  average.update();
  MemoryState state;
  average.save_state(state);
  const Parameter other = parameter({9, 9, 9});
  MovingAverage continued({other}, 0.9);
  MemoryReader reader(state);
  continued.load_state(reader);
  other.variable.value().copy_from_host(w.variable.value().raw(), 12);
  average.update(), continued.update();
  const MovingAverage::Swap one(average), two(continued);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(at(w, i), at(other, i));
}

}  // namespace
}  // namespace longhaul::optim
