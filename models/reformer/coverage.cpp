#include "models/reformer/coverage.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "framework/ops/support.h"

namespace longhaul::models {
namespace {

constexpr int64_t kSampledTokens = 4;  // of each head

/// The numbers of a floating tensor row by row, in f64.
class Rows {
 public:
  explicit Rows(const Tensor& tensor) : tensor_(tensor) {
    if (tensor.dtype() != DType::kF32 && tensor.dtype() != DType::kF64) {
      tensor_ = Tensor::empty(tensor.shape(), DType::kF32, tensor.device());
      ops::table(tensor).elementwise.copy(tensor, tensor_);
    }
  }
  double at(int64_t i) const { return tensor_.dtype() == DType::kF64 ? tensor_.data<double>()[i] : tensor_.data<float>()[i]; }

 private:
  Tensor tensor_;
};

/// Slot of every token in the order by (bucket, position), and the tokens of each bucket.
struct Order {
  std::vector<int64_t> slot, count;
};

Order order_of(const int32_t* bucket, int64_t length, int64_t bins) {
  Order out{std::vector<int64_t>(static_cast<size_t>(length)), std::vector<int64_t>(static_cast<size_t>(bins), 0)};
  for (int64_t n = 0; n < length; ++n) ++out.count[static_cast<size_t>(bucket[n])];
  std::vector<int64_t> next(out.count.size(), 0);
  std::partial_sum(out.count.begin(), out.count.end() - 1, next.begin() + 1);
  for (int64_t n = 0; n < length; ++n) out.slot[static_cast<size_t>(n)] = next[static_cast<size_t>(bucket[n])]++;
  return out;
}

}  // namespace

void measure_selection(const SelectionSample& sample, const pattern::ChunkOptions& chunks, int64_t buckets, nn::Gauges& gauges) {
  if (!sample.query.device().is_host()) return;
  const int64_t heads = sample.buckets.size(1), rounds = sample.buckets.size(2), length = sample.buckets.size(3);
  const int64_t width = sample.query.size(2), head_dim = width / heads, per_round = pattern::chunked_rows(length, chunks.chunk) / chunks.chunk, all = per_round * rounds;
  const Tensor first_query = sample.query.slice(0, 0, 1), first_key = sample.key.slice(0, 0, 1);
  const Rows query(first_query), key(first_key);
  const uint8_t* valid = sample.valid.defined() ? sample.valid.data<uint8_t>() : nullptr;
  const int32_t* document = sample.documents.defined() ? sample.documents.data<int32_t>() : nullptr;
  for (int64_t h = 0; h < heads; ++h) {
    std::vector<Order> orders;
    for (int64_t r = 0; r < rounds; ++r) {
      orders.push_back(order_of(sample.buckets.data<int32_t>() + (h * rounds + r) * length, length, buckets + 1));
      const auto& count = orders.back().count;
      const auto fullest = *std::max_element(count.begin(), count.end() - 1);  // the last holds padding
      const int64_t tokens = length - count.back();
      if (tokens > 0) gauges.mean("lsh_balance", static_cast<double>(fullest * buckets) / static_cast<double>(tokens));
    }
    for (int64_t s = 1; s <= kSampledTokens; ++s) {
      const int64_t i = s * (length - 1) / kSampledTokens;
      if (valid && valid[i] == 0) continue;
      std::vector<std::pair<double, bool>> seen;  // score, and whether a round lists the key
      for (int64_t j = 0; j < length; ++j) {
        if (j == i || (chunks.causal && j > i) || (valid && valid[j] == 0) || (document && document[j] != document[i])) continue;
        double score = 0;
        for (int64_t c = 0; c < head_dim; ++c) score += query.at(i * width + h * head_dim + c) * key.at(j * width + h * head_dim + c);
        bool listed = false;
        for (int64_t r = 0; r < rounds && !listed; ++r) {
          const int64_t own = r * per_round + orders[static_cast<size_t>(r)].slot[static_cast<size_t>(i)] / chunks.chunk;
          for (int64_t of = 0; of < rounds && !listed; ++of) {
            const int64_t other = of * per_round + orders[static_cast<size_t>(of)].slot[static_cast<size_t>(j)] / chunks.chunk;
            const int64_t ahead = ((other - own) % all + all) % all;  // the chunks of all rounds form a ring
            listed = ahead <= chunks.after || all - ahead <= chunks.before;
          }
        }
        seen.emplace_back(score, listed);
      }
      if (seen.empty()) continue;
      const double peak = std::ranges::max_element(seen)->first;
      double total = 0, covered = 0;
      for (const auto& [score, listed] : seen) {
        const double weight = std::exp(score - peak);
        total += weight;
        if (listed) covered += weight;
      }
      gauges.mean("lsh_coverage", covered / total);
    }
  }
}

}  // namespace longhaul::models
