// defines: permuted
#pragma once
#include <cstdint>

namespace longhaul::data {

/// The sample at slot `index` of epoch `epoch`: a bijection of [0, n) keyed by (seed, epoch), without a table. Six
/// rounds of a Feistel network on an even number of bits, walked until the result is below n; on average fewer than 4
/// walks. 0 <= index < n. Data spec 3.5.
int64_t permuted(uint64_t seed, int64_t epoch, int64_t n, int64_t index);

}  // namespace longhaul::data
