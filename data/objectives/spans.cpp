#include "data/objectives/spans.h"

#include <algorithm>
#include <cmath>

#include "data/objectives/rows.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

// What a random word is for.
enum : uint32_t { kHiddenCuts = 16, kKeptCuts };

/// Halves go to the even neighbour, as the public counts were made.
int64_t round_even(double x) { return static_cast<int64_t>(std::nearbyint(x)); }

/// `items` in `parts` runs of at least one, by parts - 1 of the items - 1 places between them.
std::vector<int64_t> divide(int64_t items, int64_t parts, const RandomStream& stream) {
  std::vector<int64_t> cuts = random_order(stream, items - 1);
  cuts.resize(static_cast<size_t>(parts - 1));
  std::sort(cuts.begin(), cuts.end());
  std::vector<int64_t> lengths;
  int64_t begin = 0;
  for (const int64_t cut : cuts) {
    lengths.push_back(cut + 1 - begin);
    begin = cut + 1;
  }
  lengths.push_back(items - begin);
  return lengths;
}

}  // namespace

SpanSizes span_sizes(int64_t n, double density, double mean) {
  check<InternalError>(n >= 2, "span corruption of {} tokens", n);
  SpanSizes out;
  out.hidden = std::clamp<int64_t>(round_even(static_cast<double>(n) * density), 1, n - 1);
  out.spans = std::max<int64_t>(1, round_even(static_cast<double>(out.hidden) / mean));
  // With many hidden tokens there are too few kept ones to stand before each run.
  out.spans = std::min({out.spans, out.hidden, n - out.hidden});
  out.input = n - out.hidden + out.spans + 1;
  out.target = out.hidden + out.spans + 1;
  return out;
}

int64_t longest_raw(int64_t length, double density, double mean) {
  int64_t low = 2, high = 4;
  while (span_sizes(high, density, mean).input <= length) high *= 2;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (span_sizes(middle, density, mean).input <= length ? low : high) = middle;
  }
  return low;
}

Spans choose_spans(int64_t n, double density, double mean, uint64_t seed, uint64_t key) {
  const SpanSizes sizes = span_sizes(n, density, mean);
  const auto stream = [&](uint32_t use) {
    return RandomStream{.seed = seed, .step = key, .layer = use, .purpose = RandomPurpose::kMasking};
  };
  return {divide(n - sizes.hidden, sizes.spans, stream(kKeptCuts)),
          divide(sizes.hidden, sizes.spans, stream(kHiddenCuts))};
}

Corrupted corrupt(std::span<const int32_t> text, const Spans& spans, const ExtendedTokenizer& tokenizer) {
  Corrupted out;
  size_t at = 0;
  const auto move = [&](int64_t count, std::vector<int32_t>& to) {
    const auto part = text.subspan(at, static_cast<size_t>(count));
    to.insert(to.end(), part.begin(), part.end());
    at += static_cast<size_t>(count);
  };
  for (size_t i = 0; i < spans.hidden.size(); ++i) {
    const int32_t mark = tokenizer.sentinel(static_cast<int64_t>(i));
    move(spans.kept[i], out.input);
    out.input.push_back(mark);
    out.target.push_back(mark);
    move(spans.hidden[i], out.target);
  }
  check<InternalError>(at == text.size(), "spans of {} tokens over a text of {}", at, text.size());
  out.input.push_back(tokenizer.special().end);
  out.target.push_back(tokenizer.special().end);
  return out;
}

}  // namespace longhaul::data
