#include "framework/attention/lsh.h"
#include "framework/attention/merge.h"
#include "framework/ops/shape.h"
#include "framework/pattern/builders.h"
#include "tests/cases/case_table.h"

namespace longhaul::testing {
namespace {

using In = std::span<const Variable>;
using Out = std::vector<Variable>;

const std::map<DType, Tolerance> kAttention = {
    {DType::kF32, {4e-6}},
    {DType::kBF16, {3e-2, "probabilities and score gradients are rounded to 8 bits of mantissa"}}};

/// Buckets [B, H, R, N] that do not depend on the operands, so that a small step never moves a token.
Tensor scattered(const Shape& shape, int32_t buckets, Device device) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < shape.elements(); ++i) values.push_back(static_cast<int32_t>((i * i + 3 * i) % 11 % buckets));
  return Tensor::of<int32_t>(shape, values, device);
}

struct Case {
  int64_t length = 20, chunk = 4, rounds = 2, before = 1, after = 0;
  bool causal = true, padded = false, documents = false, once = false;
  double dropout = 0;
  int64_t batch = 2, width = 16;
};

Out hashed(In in, const Case& c) {
  const int64_t batch = in[0].size(0), heads = 2;
  const Device device = in[0].device();
  attention::LshOptions options{.chunks = {.chunk = c.chunk, .before = c.before, .after = c.after, .causal = c.causal},
                                .buckets = 4};
  options.pattern = pattern::sorted_chunks(c.length, options.chunks);
  if (c.documents) options.pattern = pattern::within_segments(options.pattern);
  if (c.once) options.pattern = pattern::listed_once(options.pattern);
  if (c.dropout > 0)
    options.dropout = {.stream = {.seed = 5, .step = 2, .layer = 1, .purpose = RandomPurpose::kAttentionDropout},
                       .probability = c.dropout,
                       .first_row = 3};
  attention::LshFacts facts;
  Tensor buckets = scattered({batch, heads, c.rounds, c.length}, 4, device);
  std::vector<uint8_t> valid;
  std::vector<int32_t> documents;
  for (int64_t i = 0; i < batch * c.length; ++i) {
    valid.push_back(i % c.length < c.length - 3);
    documents.push_back(static_cast<int32_t>(i % c.length / 7));
  }
  if (c.padded) facts.valid = Tensor::of<uint8_t>({batch, c.length}, valid, device);
  if (c.documents) facts.documents = Tensor::of<int32_t>({batch, c.length}, documents, device);
  return {attention::lsh_attention(in[0], in[1], in[2], buckets, options, facts)};
}

OpCase hashed_case(const char* name, const Case& c) {
  const Shape shape{c.batch, c.length, c.width};
  return {.op = "lsh_attention",
          .name = name,
          .inputs = {{shape}, {shape}, {shape}},
          .call = [c](In in) { return hashed(in, c); },
          .tolerance = kAttention};
}

const bool kHashed = add_cases({
    hashed_case("two rounds, causal", {}),
    hashed_case("one round, chunks longer than a tile", {.length = 150, .chunk = 70, .rounds = 1, .batch = 1, .width = 4}),
    hashed_case("three rounds, ragged length", {.length = 21, .rounds = 3}),
    hashed_case("two-sided with look-ahead and padding",
                {.length = 22, .chunk = 5, .after = 1, .causal = false, .padded = true}),
    hashed_case("more chunks in view than there are", {.length = 9, .chunk = 4, .rounds = 2, .before = 4}),
    hashed_case("documents", {.documents = true}),
    hashed_case("keys that count once", {.rounds = 3, .once = true}),
    hashed_case("keys that count once, two-sided with padding", {.length = 37, .chunk = 5, .before = 2, .after = 1, .causal = false, .padded = true, .once = true}),
    hashed_case("keys that count once, all in view", {.length = 9, .chunk = 4, .rounds = 2, .before = 4, .once = true}),
    hashed_case("dropout", {.dropout = 0.25}),
    {.op = "lsh_attention",
     .name = "without hashing",
     .inputs = {{{1, 9, 16}}, {{1, 9, 16}}, {{1, 9, 16}}},
     .call = [](In in) -> Out { return {attention::shared_query_key_attention(in[0], in[1], in[2], 2, true, {}, {})}; },
     .tolerance = kAttention},
    {.op = "normalize",
     .name = "unit keys",
     .inputs = {{{2, 5, 24}}},
     .call = [](In in) -> Out { return {attention::unit_keys(in[0], 3)}; },
     .tolerance = {{DType::kF32, {4e-6}}}},
});

attention::AttentionResult part(const Variable& q, const Variable& k, const Variable& v, const Pattern& pattern) {
  attention::AttentionSpec spec;
  spec.pattern = pattern;
  return attention::block_attention(q, k, v, spec);
}

const bool kMerge = add_cases({
    {.op = "merge",
     .name = "three results of one query",
     .inputs = {{{2, 2, 7, 8}}, {{2, 2, 7, 8}}, {{2, 2, 7, 8}}},
     .call = [](In in) -> Out {
       const Extent square = Extent::square(7);
       // Row 0 of the last part sees nothing.
       const attention::AttentionResult parts[] = {part(in[0], in[1], in[2], pattern::causal(square)),
                                                   part(in[0], in[2], in[1], pattern::sliding_window(square, 2, 0)),
                                                   part(in[1], in[1], in[2], pattern::others(square, true))};
       const auto merged = attention::merge(parts);
       return {merged.out, merged.lse};
     },
     .tolerance = kAttention},
});

}  // namespace
}  // namespace longhaul::testing
