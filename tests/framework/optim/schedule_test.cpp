#include "framework/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "framework/base/error.h"

namespace longhaul::optim {
namespace {

constexpr int64_t kWarmup = 10, kHorizon = 110;

Schedule schedule(ScheduleKind kind, double final = 0.1) {
  return {.kind = kind,
          .warmup = {static_cast<double>(kWarmup)},
          .horizon = {static_cast<double>(kHorizon)},
          .final = final};
}

double at(const Schedule& schedule, int64_t step) {
  return schedule_factor(schedule, Progress{.steps = step}, Progress{.steps = 1});
}

TEST(Schedule, EveryCurveRisesLinearlyToItsPeak) {
  for (const ScheduleKind kind : {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine,
                                  ScheduleKind::kInverseSqrt, ScheduleKind::kWsd}) {
    EXPECT_DOUBLE_EQ(at(schedule(kind), 1), 1.0 / kWarmup);
    EXPECT_DOUBLE_EQ(at(schedule(kind), 5), 5.0 / kWarmup);
    EXPECT_DOUBLE_EQ(at(schedule(kind), kWarmup), 1.0);
  }
}

TEST(Schedule, TheStepAfterTheWarmupIsAlreadyOnTheCurve) {
  EXPECT_DOUBLE_EQ(at(schedule(ScheduleKind::kConstant), kWarmup + 1), 1.0);
  EXPECT_DOUBLE_EQ(at(schedule(ScheduleKind::kLinear), kWarmup + 1), 0.99 + 0.1 * 0.01);
  EXPECT_DOUBLE_EQ(at(schedule(ScheduleKind::kCosine), kWarmup + 1), 0.1 + 0.9 * (1 + std::cos(M_PI * 0.01)) / 2);
  EXPECT_DOUBLE_EQ(at(schedule(ScheduleKind::kInverseSqrt), kWarmup + 1), std::sqrt(10.0 / 11));
  EXPECT_DOUBLE_EQ(at(schedule(ScheduleKind::kWsd), kWarmup + 1), 1.0);
}

TEST(Schedule, TheLastStepReachesTheFloorAndStaysThere) {
  for (const ScheduleKind kind : {ScheduleKind::kLinear, ScheduleKind::kCosine, ScheduleKind::kWsd}) {
    EXPECT_NEAR(at(schedule(kind), kHorizon), 0.1, 1e-15);
    EXPECT_NEAR(at(schedule(kind), kHorizon + 50), 0.1, 1e-15);
    EXPECT_NEAR(at(schedule(kind, 0), kHorizon), 0, 1e-15);
  }
  EXPECT_DOUBLE_EQ(at(schedule(ScheduleKind::kInverseSqrt), 4 * kWarmup), 0.5);
}

TEST(Schedule, WsdDecaysOverItsLastPart) {
  const Schedule wsd = schedule(ScheduleKind::kWsd);
  EXPECT_DOUBLE_EQ(at(wsd, 88), 1.0);
  EXPECT_NEAR(at(wsd, 99), 0.1 + 0.9 * (1 - std::sqrt(0.5)), 1e-12);
}

TEST(Schedule, WithoutWarmupTheFirstStepIsOnTheCurve) {
  Schedule cosine = schedule(ScheduleKind::kCosine, 0);
  cosine.warmup = {};
  EXPECT_DOUBLE_EQ(at(cosine, 1), (1 + std::cos(M_PI / kHorizon)) / 2);
  Schedule inverse = schedule(ScheduleKind::kInverseSqrt);
  inverse.warmup = {};
  EXPECT_DOUBLE_EQ(at(inverse, 1), 1.0);
  EXPECT_DOUBLE_EQ(at(inverse, 4), 0.5);
}

TEST(Schedule, TokensAndStepsDescribeTheSameCurve) {
  Schedule tokens = schedule(ScheduleKind::kCosine);
  tokens.horizon = {static_cast<double>(kHorizon) * 64, Period::Unit::kToken};
  const Progress per_step{.steps = 1, .tokens = 64};
  for (const int64_t step : {1, 9, 10, 11, 60, 110}) {
    EXPECT_NEAR(schedule_factor(tokens, Progress{.steps = step, .tokens = step * 64}, per_step),
                at(schedule(ScheduleKind::kCosine), step), 1e-12);
  }
}

TEST(Schedule, AFallingCurveNeedsAHorizon) {
  Schedule linear = schedule(ScheduleKind::kLinear);
  linear.horizon = {};
  EXPECT_THROW(at(linear, kWarmup + 1), ConfigError);
}

}  // namespace
}  // namespace longhaul::optim
