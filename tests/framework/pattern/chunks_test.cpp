#include "framework/pattern/chunks.h"

#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "framework/pattern/audit.h"

namespace longhaul::testing {
namespace {

TEST(LocalChunks, SeeTheirNeighbours) {
  for (const int64_t length : {1, 7, 64, 130, 201}) {
    for (const int64_t chunk : {1, 4, 30, 64, 100}) {
      for (const bool causal : {false, true}) {
        const Pattern pattern =
            pattern::local_chunks(Extent::square(length), {.chunk = chunk, .before = 2, .after = 1, .causal = causal});
        const PatternAudit result = audit(pattern, [&](int64_t i, int64_t j, bool) {
          const int64_t apart = j / chunk - i / chunk;
          return apart >= -2 && apart <= 1 && (!causal || j <= i) ? 1.0f : 0.0f;
        });
        EXPECT_TRUE(result.exact) << length << " in chunks of " << chunk << ": " << result.first_difference;
      }
    }
  }
}

TEST(LocalChunks, FormARing) {
  for (const int64_t length : {20, 130, 200}) {
    const int64_t chunk = 10, count = length / chunk;
    const Pattern pattern =
        pattern::local_chunks(Extent::square(length), {.chunk = chunk, .before = 1, .after = 1, .causal = false}, true);
    const PatternAudit result = audit(pattern, [&](int64_t i, int64_t j, bool) {
      const int64_t apart = ((j / chunk - i / chunk) % count + count) % count;
      return apart <= 1 || apart == count - 1 ? 1.0f : 0.0f;
    });
    EXPECT_TRUE(result.exact) << result.first_difference;
  }
}

TEST(LocalChunks, ServeTheLastQueriesOfACache) {
  const Pattern pattern = pattern::local_chunks(Extent::decode(3, 50), {.chunk = 8});
  const PatternAudit result =
      audit(pattern, [](int64_t i, int64_t j, bool) { return j <= i + 47 && j / 8 >= (i + 47) / 8 - 1 ? 1.0f : 0.0f; });
  EXPECT_TRUE(result.exact) << result.first_difference;
}

TEST(SortedChunks, InNaturalOrderAreLocalChunksWithoutTheOwnToken) {
  for (const int64_t length : {9, 64, 130}) {
    for (const int64_t chunk : {4, 64, 70}) {
      const Pattern pattern = pattern::sorted_chunks(length, {.chunk = chunk});
      EXPECT_EQ(pattern.query_rows(), pattern::chunked_rows(length, chunk));
      EXPECT_EQ(pattern.side_keys(), chunk);
      EXPECT_TRUE(pattern.order_is_data());
      const auto seen = multiplicities(pattern);
      for (int64_t i = 0; i < length; ++i) {
        for (int64_t j = 0; j < length; ++j) {
          EXPECT_EQ(seen[static_cast<size_t>(i * (length + chunk) + j)],
                    j < i && i / chunk - j / chunk <= 1 ? 1.0f : 0.0f)
              << i << " " << j;
        }
      }
    }
  }
}

TEST(Others, LeaveOutTheOwnToken) {
  for (const bool causal : {false, true}) {
    const PatternAudit result = audit(pattern::others(Extent::square(70), causal), [&](int64_t i, int64_t j, bool) {
      return i != j && (!causal || j < i) ? 1.0f : 0.0f;
    });
    EXPECT_TRUE(result.exact) << result.first_difference;
  }
}

TEST(Chunks, RefuseSizesThatCannotBe) {
  EXPECT_THROW(pattern::local_chunks(Extent::square(8), {.chunk = 0}), ConfigError);
  EXPECT_THROW(pattern::sorted_chunks(8, {.chunk = 4, .before = -1}), ConfigError);
}

}  // namespace
}  // namespace longhaul::testing
