#include "framework/tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace longhaul {
namespace {

TEST(DTypes, HaveSizesAndNames) {
  const std::pair<DType, std::pair<size_t, const char*>> all[] = {
      {DType::kF32, {4, "f32"}}, {DType::kBF16, {2, "bf16"}}, {DType::kF16, {2, "f16"}}, {DType::kF64, {8, "f64"}},
      {DType::kI32, {4, "i32"}}, {DType::kI64, {8, "i64"}},   {DType::kU8, {1, "u8"}}};
  for (const auto& [dtype, expected] : all) {
    EXPECT_EQ(size_of(dtype), expected.first);
    EXPECT_EQ(name_of(dtype), expected.second);
  }
}

TEST(Halves, EveryFloat16SurvivesTheWayThroughF32) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    float16 half;
    half.bits = static_cast<uint16_t>(bits);
    const auto wide = static_cast<float>(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(float16(wide)))) << bits;
    } else {
      EXPECT_EQ(float16(wide).bits, bits);
    }
  }
}

TEST(Halves, Float16RoundsToNearestTiesToEven) {
  EXPECT_EQ(static_cast<float>(float16(1.0f)), 1.0f);
  EXPECT_EQ(static_cast<float>(float16(65504.0f)), 65504.0f);
  EXPECT_EQ(float16(65519.0f).bits, 0x7bff);  // the largest number
  EXPECT_EQ(float16(65520.0f).bits, 0x7c00);  // half a step beyond it: infinity
  EXPECT_EQ(float16(0x1p-24f).bits, 1);       // the smallest subnormal
  EXPECT_EQ(float16(0x1p-25f).bits, 0);       // a tie between it and zero
  EXPECT_EQ(float16(1.0f + 0x1p-11f).bits, 0x3c00);
  EXPECT_EQ(float16(1.0f + 3 * 0x1p-11f).bits, 0x3c02);
  EXPECT_EQ(float16(-0.0f).bits, 0x8000);
}

TEST(Halves, Bfloat16RoundsToNearestTiesToEvenAndKeepsNan) {
  EXPECT_EQ(bfloat16(1.0f + 0x1p-8f).bits, 0x3f80);
  EXPECT_EQ(bfloat16(1.0f + 3 * 0x1p-8f).bits, 0x3f82);
  EXPECT_EQ(bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7f800001u)))));
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const auto wide = std::bit_cast<float>(bits << 16);
    if (std::isnan(wide)) continue;
    EXPECT_EQ(bfloat16(wide).bits, bits);
  }
}

}  // namespace
}  // namespace longhaul
