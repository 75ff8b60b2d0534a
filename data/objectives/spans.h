// defines: SpanSizes, span_sizes, longest_raw, Spans, choose_spans, corrupt
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/tokenizers/extended.h"

/// Span corruption (Raffel et al. 2020, section 3.1.4), with the counts of the public implementation: a text of n tokens
/// has k = round(n density) hidden ones (1 to n - 1; halves to even) in s = max(1, round(k / mean)) runs, and starts with a
/// kept run.
namespace longhaul::data {

struct SpanSizes {
  int64_t hidden = 0;  // k
  int64_t spans = 0;   // s
  int64_t input = 0;   // n - k + s + 1, with the end
  int64_t target = 0;  // k + s + 1, with the end
};

/// Of n >= 2 tokens.
SpanSizes span_sizes(int64_t n, double density, double mean);

/// The most tokens of a text whose input has at most `length`; at least 2.
int64_t longest_raw(int64_t length, double density, double mean);

/// Lengths of the runs: kept[0], hidden[0], kept[1], ... each at least 1.
struct Spans {
  std::vector<int64_t> kept, hidden;
};

/// Hidden and kept tokens are each divided by cut points that are drawn without replacement.
Spans choose_spans(int64_t n, double density, double mean, uint64_t seed, uint64_t key);

struct Corrupted {
  std::vector<int32_t> input;   // kept runs, a sentinel for each hidden one, end
  std::vector<int32_t> target;  // sentinel, hidden run, sentinel, hidden run, ..., end
};
Corrupted corrupt(std::span<const int32_t> text, const Spans& spans, const ExtendedTokenizer& tokenizer);

}  // namespace longhaul::data
