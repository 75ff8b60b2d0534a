#include "framework/tensor/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longhaul {
namespace {

using Words = std::array<uint32_t, 4>;

// The known answers of the authors' library (Random123, kat_vectors).
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, EveryPartOfItsPlaceMatters) {
  const RandomStream base{.seed = 1, .step = 2, .layer = 3, .purpose = RandomPurpose::kTest};
  for (const RandomStream& other :
       {RandomStream{2, 2, 3, RandomPurpose::kTest}, RandomStream{1, 3, 3, RandomPurpose::kTest},
        RandomStream{1, 2, 4, RandomPurpose::kTest}, RandomStream{1, 2, 3, RandomPurpose::kInit}}) {
    EXPECT_NE(other.block(0), base.block(0));
  }
  EXPECT_EQ(base.word(7), base.block(1)[3]);
  EXPECT_NE(base.block(0), base.block(uint64_t{1} << 32));  // both halves of the index count
}

TEST(RandomStream, UniformAndNormalHaveTheirMoments) {
  const RandomStream stream{.seed = 5, .step = 0, .layer = 0, .purpose = RandomPurpose::kTest};
  constexpr int kCount = 40000;
  double mean = 0, normal_mean = 0, normal_square = 0;
  for (uint64_t i = 0; i < kCount; ++i) {
    const float u = stream.uniform(i);
    ASSERT_TRUE(u >= 0 && u < 1);
    mean += u / kCount;
    normal_mean += stream.normal(i) / kCount;
    normal_square += stream.normal(i) * stream.normal(i) / kCount;
  }
  EXPECT_NEAR(mean, 0.5, 4 * 0.2887 / std::sqrt(kCount));
  EXPECT_NEAR(normal_mean, 0, 4 / std::sqrt(kCount));
  EXPECT_NEAR(normal_square, 1, 4 * std::sqrt(2.0 / kCount));
}

TEST(Dropout, ThresholdsAreExactAtTheEnds) {
  EXPECT_EQ(dropout_threshold(0), 0u);
  EXPECT_EQ(dropout_threshold(0.5), 0x80000000u);
  EXPECT_EQ(dropout_threshold(1), 0xffffffffu);
}

}  // namespace
}  // namespace longhaul
