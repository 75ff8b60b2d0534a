// defines: LossBuckets
#pragma once
#include <bit>
#include <cstdint>
#include <vector>

#include "train/evaluate/evaluate.h"

namespace longhaul::train {

/// Sums of losses by position: one bucket for 0, 1, 2-3, 4-7, ... (data spec 1.5).
class LossBuckets {
 public:
  /// One target that stands for `bytes` of text.
  void add(int64_t position, double nats, int64_t bytes) {
    const auto index = static_cast<size_t>(std::bit_width(static_cast<uint64_t>(position)));
    if (index >= buckets_.size()) buckets_.resize(index + 1);
    ++buckets_[index].tokens;
    buckets_[index].nats += nats;
    buckets_[index].bytes += bytes;
  }
  /// Buckets with at least one token; with bits per byte when the bytes of all buckets are `text_bytes`.
  std::vector<PositionLoss> means(int64_t text_bytes) const;

 private:
  struct Bucket {
    int64_t tokens = 0;
    int64_t bytes = 0;
    double nats = 0;
  };
  std::vector<Bucket> buckets_;
};

}  // namespace longhaul::train
