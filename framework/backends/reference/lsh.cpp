#include <algorithm>
#include <limits>

#include "framework/backends/reference/attention_scene.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::LshHash;
using kernels::LshNeighbours;
using kernels::LshOwn;
using kernels::LshSelect;
using kernels::Status;

Status rotations(const View& out, const RandomStream& stream) {
  return visit(out.dtype, [&](auto element) {
    using T = decltype(element);
    for (int64_t e = 0; e < out.elements(); ++e) out.as<T>()[e] = converted<T>(stream.normal(static_cast<uint64_t>(e)));
    return Status::kOk;
  });
}

Status buckets(const View& query, const View& rotations, const View& valid, const View& out, const LshHash& hash) {
  return visit(query.dtype, [&](auto element) {
    using T = decltype(element);
    using R = Wide<T>;
    const int64_t heads = query.shape[1], length = query.shape[2], d = query.shape[3], rounds = rotations.shape[2],
                  columns = rotations.shape[3];
    int32_t* to = out.as<int32_t>();
    for (int64_t b = 0; b < query.shape[0]; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t r = 0; r < rounds; ++r) {
          for (int64_t n = 0; n < length; ++n, ++to) {
            const T* x = Rows<T>(query).at(b, h, n);
            int64_t bucket = 0, step = 1, first = 0;
            for (const int64_t factor : hash.factors) {
              int64_t best = 0;
              R largest = -std::numeric_limits<R>::infinity();
              for (int64_t side = 0; side < 2; ++side) {
                for (int64_t j = 0; j < factor / 2; ++j) {
                  R sum = 0;
                  for (int64_t c = 0; c < d; ++c) {
                    const int64_t at = ((h * d + c) * rounds + r) * columns + first + j;
                    sum += converted<R>(x[c]) * rotations.as<R>()[at];
                  }
                  if (side == 1) sum = -sum;
                  if (sum > largest) largest = sum, best = side * (factor / 2) + j;
                }
              }
              bucket += step * best;
              step *= factor;
              first += factor / 2;
            }
            const bool padding = valid.present && valid.as<uint8_t>()[b * length + n] == 0;
            *to = static_cast<int32_t>(padding ? step : bucket);
          }
        }
      }
    }
    return Status::kOk;
  });
}

Status sort(const View& buckets, const View& rows, const View& starts) {
  const int64_t batch = buckets.shape[0], heads = buckets.shape[1], rounds = buckets.shape[2],
                length = buckets.shape[3];
  const int64_t slots = rows.shape[3], bins = starts.shape[3] - 1;
  for (int64_t unit = 0; unit < batch * heads * rounds; ++unit) {
    const int64_t plane = unit / rounds, round = unit % rounds;
    const int32_t* bucket = buckets.as<int32_t>() + unit * length;
    int32_t* start = starts.as<int32_t>() + unit * (bins + 1);
    int32_t* to = rows.as<int32_t>() + (round * batch * heads + plane) * slots;
    std::fill_n(start, bins + 1, 0);
    for (int64_t n = 0; n < length; ++n) {
      if (bucket[n] < 0 || bucket[n] >= bins) return Status::kFailed;
      ++start[bucket[n] + 1];
    }
    for (int64_t bin = 0; bin < bins; ++bin) start[bin + 1] += start[bin];
    for (int64_t n = 0; n < length; ++n) to[start[bucket[n]]++] = static_cast<int32_t>(n);
    std::fill(to + length, to + slots, -1);
  }
  return Status::kOk;
}

Status places(const View& rows, const View& chunks, int64_t chunk) {
  const int64_t rounds = rows.shape[0], planes = rows.shape[1] * rows.shape[2], slots = rows.shape[3], length = chunks.shape[3];
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
  int64_t at = 0;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t s = 0; s < count; ++s, ++at) {
        // Slot of the ring of all rounds: what lies before the first and behind the last slot of this round.
        const int64_t ahead = s < options.before ? s - options.before : slots + s - options.before;
        const int64_t slot = ((options.round * slots + ahead) % total + total) % total;
        const int32_t row = rows.as<int32_t>()[((slot / slots * batch + b) * heads + h) * slots + slot % slots];
        const int64_t token = b * (valid.present ? valid.shape[1] : segment.present ? segment.shape[1] : 0) + row;
        out_position.as<int32_t>()[at] = row;
        out_valid.as<uint8_t>()[at] = row >= 0 && (!valid.present || valid.as<uint8_t>()[token] != 0);
        if (segment.present) out_segment.as<int32_t>()[at] = row < 0 ? 0 : segment.as<int32_t>()[token];
      }
    }
  }
  return Status::kOk;
}

Status select(const View& buckets, const View& rows, const LshSelect& options) {
  const int64_t heads = buckets.shape[1], rounds = buckets.shape[2], capacity = buckets.shape[3], count = rows.shape[2];
  for (int64_t plane = 0; plane < buckets.shape[0] * heads; ++plane) {
    const int32_t* bucket = buckets.as<int32_t>() + plane * rounds * capacity;
    int32_t* to = rows.as<int32_t>() + plane * count;
    int64_t found = 0;
    for (const bool wanted : {true, false}) {
      for (int64_t n = options.position; n >= 0 && found < count; --n) {
        bool shared = false;
        for (int64_t r = 0; r < rounds; ++r) {
          shared = shared || bucket[r * capacity + n] == bucket[r * capacity + options.position];
        }
        if (shared == wanted) to[found++] = static_cast<int32_t>(n);
      }
    }
    if (found < count) return Status::kFailed;
  }
  return Status::kOk;
}

Status gather(const View& x, const View& row, const View& y) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    const int64_t heads = x.shape[1], count = row.shape[2], d = x.shape[3];
    for (int64_t n = 0; n < row.elements(); ++n) {
      const int64_t b = n / (heads * count), h = n / count % heads, from = row.as<int32_t>()[n];
      if (from >= x.shape[2]) return Status::kFailed;
      for (int64_t c = 0; c < d; ++c)
        y.as<T>()[n * d + c] = from < 0 ? converted<T>(0.0f) : Rows<T>(x).at(b, h, from)[c];
    }
    return Status::kOk;
  });
}

Status scatter_add(const View& y, const View& row, const View& x) {
  return visit(y.dtype, [&](auto part) {
    using P = decltype(part);
    return visit(x.dtype, [&](auto element) {
      using T = decltype(element);
      using R = Wide<T>;
      const int64_t heads = x.shape[1], count = row.shape[2], d = x.shape[3];
      for (int64_t n = 0; n < row.elements(); ++n) {
        const int64_t b = n / (heads * count), h = n / count % heads, to = row.as<int32_t>()[n];
        if (to < 0) continue;
        if (to >= x.shape[2]) return Status::kFailed;
        T* into = Rows<T>(x).at(b, h, to);
        for (int64_t c = 0; c < d; ++c)
          into[c] = converted<T>(converted<R>(into[c]) + converted<R>(y.as<P>()[n * d + c]));
      }
      return Status::kOk;
    });
  });
}

/// f(b, h, row, factor that dropout leaves of the row) for every row that saw nothing.
template <typename F>
void each_own_row(const View& of, const View& lse, const LshOwn& own, F f) {
  const int64_t heads = of.shape[1], length = of.shape[2];
  const auto width = static_cast<uint64_t>((length + 3) / 4 * 4 + (own.side_keys + 3) / 4 * 4);
  const double p = own.dropout.probability;
  for (int64_t n = 0; n < lse.elements(); ++n) {
    const double l = lse.dtype == DType::kF64 ? lse.as<double>()[n] : static_cast<double>(lse.as<float>()[n]);
    if (!(std::isinf(l) && l < 0)) continue;
    const int64_t b = n / (heads * length), h = n / length % heads, i = n % length;
    const uint64_t plane =
        (own.dropout.first_row + static_cast<uint64_t>(b)) * static_cast<uint64_t>(heads) + static_cast<uint64_t>(h);
    const uint64_t element =
        (plane * static_cast<uint64_t>(length) + static_cast<uint64_t>(i)) * width + static_cast<uint64_t>(i);
    const bool kept = p <= 0 || own.dropout.stream.word(element) >= dropout_threshold(p);
    f(b, h, i, kept ? 1 / (1 - p) : 0.0);
  }
}

/// to = [to +] factor from in the rows that saw nothing.
template <bool kAdd>
Status own_rows(const View& from, const View& lse, const View& to, const LshOwn& own) {
  return visit(from.dtype, [&](auto source) {
    using S = decltype(source);
    return visit(to.dtype, [&](auto element) {
      using T = decltype(element);
      using R = Wide<T>;
      each_own_row(from, lse, own, [&](int64_t b, int64_t h, int64_t i, double factor) {
        const S* x = Rows<S>(from).at(b, h, i);
        T* y = Rows<T>(to).at(b, h, i);
        for (int64_t c = 0; c < from.shape[3]; ++c) {
          const R more = static_cast<R>(factor) * converted<R>(x[c]);
          y[c] = converted<T>(kAdd ? converted<R>(y[c]) + more : more);
        }
      });
      return Status::kOk;
    });
  });
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

}  // namespace longhaul::reference
