#include <atomic>
#include <cstring>
#include <limits>

#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::LshHash;
using kernels::LshNeighbours;
using kernels::LshOwn;
using kernels::LshSelect;
using kernels::Status;

/// First element of a row of a strided [B, H, rows, d] operand.
void* row_at(const View& view, int64_t b, int64_t h, int64_t row) {
  const int64_t element = b * view.strides[0] + h * view.strides[1] + row * view.strides[2];
  return static_cast<char*>(view.data) + element * static_cast<int64_t>(size_of(view.dtype));
}

bool rows_are_lines(const View& view) { return view.strides[3] == 1 || view.shape[3] == 1; }

Status rotations(const View& out, const RandomStream& stream) {
  for_blocks(out.elements(), 1024, [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      const auto number = static_cast<float>(stream.normal(static_cast<uint64_t>(e)));
      if (out.dtype == DType::kF32)
        out.as<float>()[e] = number;
      else
        out.as<bfloat16>()[e] = bfloat16(number);
    }
  });
  return Status::kOk;
}

/// Index of the largest of [p; -p], the lowest one where several are.
int64_t largest_of_both_signs(const float* p, int64_t half) {
  float largest = -std::numeric_limits<float>::infinity();
  int64_t best = 0;
  for (int64_t j = 0; j < half; ++j) {
    if (p[j] > largest) largest = p[j], best = j;
  }
  for (int64_t j = 0; j < half; ++j) {
    if (-p[j] > largest) largest = -p[j], best = half + j;
  }
  return best;
}

Status buckets(const View& query, const View& rotations, const View& valid, const View& out, const LshHash& hash) {
  if (!rows_are_lines(query) || rotations.dtype != DType::kF32) return Status::kUnsupported;
  const int64_t heads = query.shape[1], length = query.shape[2], d = query.shape[3], rounds = rotations.shape[2],
                columns = rotations.shape[3];
  const auto widen = leaves().axpby[lane_of(query.dtype)][0];
  const auto project = leaves().dot_rows[0];
  constexpr int64_t kRows = 4;  // that one projection takes
  constexpr int64_t kBlockRows = 256;
  const int64_t blocks = block_count(length, kBlockRows), padding = hash.buckets();
#pragma omp parallel for schedule(static)
  for (int64_t task = 0; task < query.shape[0] * heads * blocks; ++task) {
    const int64_t b = task / (heads * blocks), h = task / blocks % heads;
    const int64_t begin = task % blocks * kBlockRows, end = std::min(length, begin + kBlockRows);
    float* x = scratch(Slot::kLeft, kRows * d);
    float* p = scratch(Slot::kRight, kRows * rounds * columns);
    const float* rotation = rotations.as<float>() + h * d * rounds * columns;
    for (int64_t first = begin; first < end; first += kRows) {
      const int64_t count = std::min(kRows, end - first);
      for (int64_t n = 0; n < count; ++n) widen(row_at(query, b, h, first + n), x + n * d, 1.0f, 0.0f, d);
      project(x, count, d, rotation, rounds * columns, rounds * columns, p, rounds * columns);
      for (int64_t n = 0; n < count; ++n) {
        const bool real = !valid.present || valid.as<uint8_t>()[b * length + first + n] != 0;
        for (int64_t r = 0; r < rounds; ++r) {
          const float* part = p + (n * rounds + r) * columns;
          int64_t bucket = 0, step = 1;
          for (const int64_t factor : hash.factors) {
            bucket += step * largest_of_both_signs(part, factor / 2);
            step *= factor;
            part += factor / 2;
          }
          out.as<int32_t>()[((b * heads + h) * rounds + r) * length + first + n] =
              static_cast<int32_t>(real ? bucket : padding);
        }
      }
    }
  }
  return Status::kOk;
}

Status sort(const View& buckets, const View& rows, const View& starts) {
  const int64_t planes = buckets.shape[0] * buckets.shape[1], rounds = buckets.shape[2], length = buckets.shape[3];
  const int64_t slots = rows.shape[3], bins = starts.shape[3] - 1;
  std::atomic<bool> sound = true;
#pragma omp parallel for schedule(static)
  for (int64_t unit = 0; unit < planes * rounds; ++unit) {
    const int32_t* bucket = buckets.as<int32_t>() + unit * length;
    int32_t* start = starts.as<int32_t>() + unit * (bins + 1);
    int32_t* to = rows.as<int32_t>() + (unit % rounds * planes + unit / rounds) * slots;
    if (!std::all_of(bucket, bucket + length, [bins](int32_t x) { return x >= 0 && x < bins; })) {
      sound = false;
      continue;
    }
    std::fill_n(start, bins + 1, 0);
    for (int64_t n = 0; n < length; ++n) ++start[bucket[n] + 1];
    for (int64_t bin = 0; bin < bins; ++bin) start[bin + 1] += start[bin];
    for (int64_t n = 0; n < length; ++n) to[start[bucket[n]]++] = static_cast<int32_t>(n);
    std::fill(to + length, to + slots, -1);
  }
  return sound ? Status::kOk : Status::kFailed;
}

Status places(const View& rows, const View& chunks, int64_t chunk) {
  const int64_t rounds = rows.shape[0], planes = rows.shape[1] * rows.shape[2], slots = rows.shape[3], length = chunks.shape[3];
#pragma omp parallel for schedule(static)
  for (int64_t unit = 0; unit < planes * rounds; ++unit) {
    const int64_t plane = unit / rounds, round = unit % rounds;
    const int32_t* row = rows.as<int32_t>() + (round * planes + plane) * slots;
    int32_t* to = chunks.as<int32_t>() + unit * length;
    for (int64_t slot = 0; slot < length; ++slot) to[row[slot]] = static_cast<int32_t>((round * slots + slot) / chunk);
  }
  return Status::kOk;
}

Status neighbours(const View& rows, const View& valid, const View& segment, const View& out_position,
                  const View& out_valid, const View& out_segment, const LshNeighbours& options) {
  const int64_t rounds = rows.shape[0], batch = rows.shape[1], heads = rows.shape[2], slots = rows.shape[3];
  const int64_t total = rounds * slots, count = options.before + options.after;
  const int64_t length = valid.present ? valid.shape[1] : segment.present ? segment.shape[1] : 0;
#pragma omp parallel for schedule(static) if (batch * heads * count > kBlock)
  for (int64_t plane = 0; plane < batch * heads; ++plane) {
    const int64_t b = plane / heads;
    for (int64_t s = 0; s < count; ++s) {
      const int64_t ahead = s < options.before ? s - options.before : slots + s - options.before;
      const int64_t slot = ((options.round * slots + ahead) % total + total) % total;
      const int32_t row = rows.as<int32_t>()[(slot / slots * batch * heads + plane) * slots + slot % slots];
      const int64_t at = plane * count + s, token = b * length + row;
      out_position.as<int32_t>()[at] = row;
      out_valid.as<uint8_t>()[at] = row >= 0 && (!valid.present || valid.as<uint8_t>()[token] != 0);
      if (segment.present) out_segment.as<int32_t>()[at] = row < 0 ? 0 : segment.as<int32_t>()[token];
    }
  }
  return Status::kOk;
}

Status select(const View& buckets, const View& rows, const LshSelect& options) {
  const int64_t planes = buckets.shape[0] * buckets.shape[1], rounds = buckets.shape[2], capacity = buckets.shape[3],
                count = rows.shape[2];
  if (count > options.position + 1) return Status::kFailed;
#pragma omp parallel for schedule(static) if (planes * options.position > kBlock)
  for (int64_t plane = 0; plane < planes; ++plane) {
    const int32_t* bucket = buckets.as<int32_t>() + plane * rounds * capacity;
    int32_t* to = rows.as<int32_t>() + plane * count;
    const auto shares = [&](int64_t n) {
      for (int64_t r = 0; r < rounds; ++r) {
        if (bucket[r * capacity + n] == bucket[r * capacity + options.position]) return true;
      }
      return false;
    };
    int64_t found = 0;
    for (const bool wanted : {true, false}) {
      for (int64_t n = options.position; n >= 0 && found < count; --n) {
        if (shares(n) == wanted) to[found++] = static_cast<int32_t>(n);
      }
    }
  }
  return Status::kOk;
}

/// f(batch entry, head, element of row) in the order of the rows of one head; heads in parallel. False when a row is
/// out of range.
template <typename F>
bool by_head(const View& x, const View& row, F f) {
  const int64_t heads = x.shape[1], count = row.shape[2], width = x.shape[3];
  const int32_t* index = row.as<int32_t>();
  if (!std::all_of(index, index + row.elements(), [&](int32_t r) { return r < x.shape[2]; })) return false;
#pragma omp parallel for schedule(static) if (row.elements() * width > kBlock)
  for (int64_t plane = 0; plane < x.shape[0] * heads; ++plane) {
    for (int64_t n = plane * count; n < (plane + 1) * count; ++n) f(plane / heads, plane % heads, n);
  }
  return true;
}

Status gather(const View& x, const View& row, const View& y) {
  if (!rows_are_lines(x)) return Status::kUnsupported;
  const size_t bytes = static_cast<size_t>(x.shape[3]) * size_of(x.dtype);
  const bool sound = by_head(x, row, [&](int64_t b, int64_t h, int64_t n) {
    const int32_t from = row.as<int32_t>()[n];
    if (from < 0)
      std::memset(at(y, n * x.shape[3]), 0, bytes);
    else
      std::memcpy(at(y, n * x.shape[3]), row_at(x, b, h, from), bytes);
  });
  return sound ? Status::kOk : Status::kFailed;
}

Status scatter_add(const View& y, const View& row, const View& x) {
  if (!rows_are_lines(x)) return Status::kUnsupported;
  const auto add = leaves().axpby[lane_of(y.dtype)][lane_of(x.dtype)];
  const bool sound = by_head(x, row, [&](int64_t b, int64_t h, int64_t n) {
    const int32_t to = row.as<int32_t>()[n];
    if (to >= 0) add(at(y, n * x.shape[3]), row_at(x, b, h, to), 1.0f, 1.0f, x.shape[3]);
  });
  return sound ? Status::kOk : Status::kFailed;
}

template <bool kAdd>
Status own_rows(const View& from, const View& lse, const View& to, const LshOwn& own) {
  if (!rows_are_lines(from) || !rows_are_lines(to)) return Status::kUnsupported;
  const auto move = leaves().axpby[lane_of(from.dtype)][lane_of(to.dtype)];
  const int64_t heads = from.shape[1], length = from.shape[2], width = from.shape[3];
  const auto words = static_cast<uint64_t>((length + 3) / 4 * 4 + (own.side_keys + 3) / 4 * 4);
  const double p = own.dropout.probability;
  for_blocks(lse.elements(), rows_per_block(width), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      if (lse.as<float>()[n] != -std::numeric_limits<float>::infinity()) continue;
      const int64_t b = n / (heads * length), h = n / length % heads, i = n % length;
      const uint64_t plane =
          (own.dropout.first_row + static_cast<uint64_t>(b)) * static_cast<uint64_t>(heads) + static_cast<uint64_t>(h);
      const uint64_t element =
          (plane * static_cast<uint64_t>(length) + static_cast<uint64_t>(i)) * words + static_cast<uint64_t>(i);
      const bool kept = p <= 0 || own.dropout.stream.word(element) >= dropout_threshold(p);
      move(row_at(from, b, h, i), row_at(to, b, h, i), kept ? static_cast<float>(1 / (1 - p)) : 0.0f,
           kAdd ? 1.0f : 0.0f, width);
    }
  });
  return Status::kOk;
}

}  // namespace

void fill_lsh(kernels::LshKernels& kernels) {
  kernels.rotations.set(rotations, kFloating);
  kernels.buckets.set(buckets, kFloating);
  kernels.sort.set(sort, kEveryType);
  kernels.places.set(places, kEveryType);
  kernels.neighbours.set(neighbours, kEveryType);
  kernels.select.set(select, kEveryType);
  kernels.gather.set(gather, kFloating);
  kernels.scatter_add.set(scatter_add, kFloating);
  kernels.own.set(own_rows<false>, kFloating);
  kernels.own_backward.set(own_rows<true>, kFloating);
}

}  // namespace longhaul::cpu
