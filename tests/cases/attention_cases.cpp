#include "framework/attention/relative_attention.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"
#include "framework/pattern/builder.h"
#include "framework/pattern/builders.h"
#include "tests/cases/case_table.h"

namespace longhaul::testing {
namespace {

using In = std::span<const Variable>;
using Out = std::vector<Variable>;

const std::map<DType, Tolerance> kAttention = {{DType::kF32, {4e-6}}, {DType::kBF16, {3e-2, "probabilities and score gradients are rounded to 8 bits of mantissa"}}};

Out attend(In in, const attention::AttentionSpec& spec) {
  const auto result = attention::block_attention(in[0], in[1], in[2], spec);
  return {result.out, result.lse};
}

OpCase heads_case(const char* name, Shape query, Shape key, std::function<attention::AttentionSpec(Device)> spec) {
  return {.op = "block_attention", .name = name, .inputs = {{query}, {key}, {key}}, .call = [spec](In in) { return attend(in, spec(in[0].device())); }, .tolerance = kAttention};
}

attention::AttentionSpec with(const Pattern& pattern) {
  attention::AttentionSpec spec;
  spec.pattern = pattern;
  return spec;
}

Tensor segments(int64_t length, Device device) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < length; ++i) values.push_back(static_cast<int32_t>(i / 5));
  return Tensor::of<int32_t>({1, 1, length}, values, device);
}

const bool kBlock = add_cases({
    heads_case("causal, log-sum-exp used", {1, 2, 9, 8}, {1, 2, 9, 8}, [](Device) { return with(pattern::causal(Extent::square(9))); }),
    heads_case("two-sided, grouped heads", {2, 4, 7, 8}, {2, 2, 7, 8}, [](Device) { return with(pattern::dense(Extent::square(7))); }),
    heads_case("window over a tile border", {1, 1, 70, 8}, {1, 1, 70, 8}, [](Device) { return with(pattern::sliding_window(Extent::square(70), 4, 0)); }),
    heads_case("the last queries of a cache", {1, 2, 2, 8}, {1, 2, 11, 8}, [](Device) { return with(pattern::causal(Extent::decode(2, 11))); }),
    heads_case("segments", {1, 2, 13, 8}, {1, 2, 13, 8}, [](Device device) {
      auto spec = with(pattern::within_segments(pattern::causal(Extent::square(13))));
      spec.query.segment = spec.key.segment = segments(13, device);
      return spec;
    }),
    heads_case("dropout", {1, 2, 12, 8}, {1, 2, 12, 8}, [](Device) {
      auto spec = with(pattern::causal(Extent::square(12)));
      spec.dropout = {.stream = {.seed = 11, .step = 3, .layer = 1, .purpose = RandomPurpose::kAttentionDropout}, .probability = 0.25, .first_row = 6};
      return spec;
    }),
    heads_case("rows that see nothing", {2, 1, 6, 8}, {2, 1, 6, 8}, [](Device device) {
      auto spec = with(pattern::causal(Extent::square(6)));
      spec.key.valid = Tensor::of<uint8_t>({2, 1, 6}, {0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0}, device);
      return spec;
    }),
});

/// Inputs query, key, value, then relative query, relative key and bias.
OpCase relative_case(const char* name, Shape query, Shape key, Shape table, std::function<attention::AttentionSpec(Device)> spec) {
  return {.op = "block_attention", .name = name, .inputs = {{query}, {key}, {key}, {{query[0], query[1], query[2], table[2]}}, {table}, {{table[0], table[1]}}},
          .call = [spec](In in) {
            auto relative = spec(in[0].device());
            relative.relative_query = in[3], relative.relative_key = in[4], relative.relative_bias = in[5];
            return attend(in, relative);
          },
          .tolerance = kAttention};
}

const bool kRelative = add_cases({
    relative_case("relative distances over a memory", {2, 2, 6, 8}, {2, 2, 11, 8}, {2, 11, 8}, [](Device) { return with(pattern::causal(Extent::decode(6, 11))); }),
    relative_case("clamped relative distances over a tile border", {1, 1, 66, 4}, {1, 1, 71, 4}, {1, 9, 4}, [](Device) { return with(pattern::sliding_window(Extent::decode(66, 71), 12, 0)); }),
    relative_case("relative distances of both signs, masked keys", {2, 2, 7, 8}, {2, 1, 7, 8}, {2, 9, 5}, [](Device device) {
      auto spec = with(pattern::dense(Extent::square(7)));
      spec.first_distance = -4;
      spec.key.valid = Tensor::of<uint8_t>({2, 1, 7}, {0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0}, device);
      return spec;
    }),
});

/// Inputs query, key and value, distance key, content and position bias, of 2 heads of width 4.
OpCase projected_relative(const char* name, int64_t batch, int64_t length, int64_t memory, int64_t distances, Use use = Use::kAll) {
  return {.op = "relative_attention", .name = name, .inputs = {{{batch, length, 8}}, {{batch, memory + length, 16}}, {{distances, 8}}, parameter({2, 4}), parameter({2, 4})},
          .call = [length, memory](In in) -> Out { return {attention::relative_attention({in[0], in[1], in[2], in[3], in[4]}, 2, with(pattern::causal(Extent::decode(length, memory + length))))}; },
          .use = use, .tolerance = kAttention};
}

const bool kProjectedRelative = add_cases({
    projected_relative("a memory in front", 2, 5, 4, 9),
    projected_relative("clamped distances", 2, 7, 6, 4),
    projected_relative("over a tile border", 1, 67, 3, 70, Use::kCorrectness),
});

Tensor flags(std::vector<uint8_t> values, Device device) {
  const auto count = static_cast<int64_t>(values.size());
  return Tensor::of<uint8_t>({1, 1, count}, values, device);
}

/// A window beside side keys that every query sees.
attention::AttentionSpec beside_side_keys(In in) {
  PatternBuilder builder(Extent::square(6));
  builder.side_keys(3);
  TileRule band;
  band.terms = kBand | kNotGlobal;
  band.band_lo = -1, band.band_hi = 1;
  builder.add(0, 0, 0, band).add_side(0, 0, 0, {});
  attention::AttentionSpec spec = with(builder.build());
  spec.key.global = flags({0, 1, 0, 0, 1, 0}, in[0].device());
  spec.side.valid = flags({1, 0, 1}, in[0].device());
  spec.side_key = in[1], spec.side_value = in[2];
  return spec;
}

/// Rows that attention leaves out, written over: together they have the gradients of one op.
Out overwritten(In in) {
  attention::AttentionSpec spec = with(pattern::causal(Extent::square(6)));
  spec.query.valid = flags({1, 0, 1, 1, 0, 1}, in[0].device());
  const Variable rows = ops::reshape(attention::self_attention(in[0], 1, 1, spec), {6, 8});
  return {ops::overwrite_rows(rows, Tensor::of<int32_t>({3}, {4, -1, 1}, in[0].device()), in[1])};
}

const bool kProjected = add_cases({
    {.op = "projected_attention", .name = "queries of other rows", .inputs = {{{2, 5, 16}}, {{2, 9, 32}}},
     .call = [](In in) -> Out { return {attention::projected_attention(in[0], in[1], 2, 2, with(pattern::dense({5, 9, 0, 0})))}; }, .tolerance = kAttention},
    {.op = "projected_attention", .name = "grouped heads, absent queries and keys", .inputs = {{{1, 4, 32}}, {{1, 7, 16}}},
     .call = [](In in) -> Out {
       auto spec = with(pattern::dense({4, 7, 0, 0}));
       spec.query.valid = flags({1, 0, 1, 1}, in[0].device()), spec.key.valid = flags({1, 1, 1, 0, 1, 0, 1}, in[0].device());
       return {attention::projected_attention(in[0], in[1], 4, 1, spec)};
     }, .tolerance = kAttention},
    {.op = "overwrite_rows", .name = "rows that attention leaves out", .inputs = {{{1, 6, 24}}, {{3, 8}}}, .call = overwritten, .tolerance = kAttention},
});

const bool kSelf = add_cases({
    {.op = "self_attention", .name = "side keys beside a window", .inputs = {{{1, 6, 48}}, {{1, 2, 3, 8}}, {{1, 2, 3, 8}}}, .call = [](In in) -> Out { return {attention::self_attention(in[0], 2, 2, beside_side_keys(in))}; },
     .tolerance = kAttention},
    {.op = "self_attention", .name = "fused projection, causal", .inputs = {{{2, 11, 3 * 2 * 8}}}, .call = [](In in) -> Out { return {attention::self_attention(in[0], 2, 2, with(pattern::causal(Extent::square(11))))}; },
     .tolerance = kAttention},
    {.op = "self_attention", .name = "grouped heads in blocks", .inputs = {{{1, 10, 6 * 8}}}, .call = [](In in) -> Out { return {attention::self_attention(in[0], 4, 1, with(pattern::blocks(Extent::square(10), 4, true)))}; },
     .tolerance = kAttention},
    {.op = "self_attention", .name = "dilated window", .inputs = {{{1, 20, 3 * 8}}}, .call = [](In in) -> Out { return {attention::self_attention(in[0], 1, 1, with(pattern::dilated_window(Extent::square(20), 3, 2, 0)))}; },
     .tolerance = kAttention},
    {.op = "self_attention", .name = "a layer", .inputs = {{{1, 4096, 3 * 512}}}, .call = [](In in) -> Out { return {attention::self_attention(in[0], 8, 8, with(pattern::causal(Extent::square(4096))))}; },
     .use = Use::kBench, .tolerance = kAttention, .flops = 14.0 * 4096 * 512 * 2080},
});

}  // namespace
}  // namespace longhaul::testing
