#include "framework/autograd/recompute.h"
#include "framework/ops/cross_entropy.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/feed_forward.h"
#include "framework/ops/linear.h"
#include "framework/ops/norm.h"
#include "framework/ops/rotary.h"
#include "framework/ops/rows.h"
#include "tests/cases/case_table.h"

namespace longhaul::testing {
namespace {

using In = std::span<const Variable>;
using Out = std::vector<Variable>;

Tensor ids(const Variable& like, std::vector<int32_t> values) {
  const auto count = static_cast<int64_t>(values.size());
  return Tensor::of<int32_t>({count}, values, like.device());
}

std::vector<int32_t> cycle(int64_t count, int32_t classes) {
  std::vector<int32_t> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(i % 7 == 3 ? -1 : static_cast<int32_t>(i * 5 % classes));
  return out;
}

const std::map<DType, Tolerance> kProducts = {{DType::kF32, {4e-6}}, {DType::kBF16, {3e-2, "sums of products of values with 8 bits of mantissa"}}};
/// Losses and their parameters are f32 in mixed precision, so these ops are checked in f32 only.
const std::map<DType, Tolerance> kStatistics = {{DType::kF32, {4e-6}}};

const bool kLinear = add_cases({
    {.op = "linear", .name = "bias", .inputs = {{{2, 5, 33}}, parameter({17, 33}), parameter({17})}, .call = [](In in) -> Out { return {ops::linear(in[0], in[1], in[2])}; }, .tolerance = kProducts},
    {.op = "linear", .name = "without bias, one row", .inputs = {{{1, 40}}, parameter({24, 40})}, .call = [](In in) -> Out { return {ops::linear(in[0], in[1], {})}; }, .tolerance = kProducts},
    {.op = "linear", .name = "a shared weight", .inputs = {{{6, 16}}, parameter({16, 16})},
     .call = [](In in) -> Out { return {ops::linear(ops::linear(in[0], in[1], {}), in[1], {})}; }, .tolerance = {{DType::kF32, {1e-5, "two products deep"}}, {DType::kBF16, {5e-2, "two products deep"}}}},
    {.op = "linear", .name = "a hidden layer", .inputs = {{{4096, 512}}, parameter({2048, 512}), parameter({2048})}, .call = [](In in) -> Out { return {ops::linear(in[0], in[1], in[2])}; }, .use = Use::kBench,
     .flops = 6.0 * 4096 * 512 * 2048},
    {.op = "matmul", .name = "plain", .inputs = {{{5, 7}}, {{7, 9}}}, .call = [](In in) -> Out { return {ops::matmul(in[0], in[1])}; }, .tolerance = kProducts},
    {.op = "matmul", .name = "first turned", .inputs = {{{7, 5}}, {{7, 9}}}, .call = [](In in) -> Out { return {ops::matmul(in[0], in[1], true)}; }, .tolerance = kProducts},
    {.op = "matmul", .name = "second turned", .inputs = {{{3, 5, 7}}, {{3, 9, 7}}}, .call = [](In in) -> Out { return {ops::matmul(in[0], in[1], false, true)}; }, .tolerance = kProducts},
    {.op = "matmul", .name = "both turned", .inputs = {{{7, 5}}, {{9, 7}}}, .call = [](In in) -> Out { return {ops::matmul(in[0], in[1], true, true)}; }, .tolerance = kProducts},
});

const bool kNorm = add_cases({
    {.op = "normalize", .name = "layer", .inputs = {{{3, 5, 37}}, {{37}}, {{37}}}, .call = [](In in) -> Out { return {ops::normalize(in[0], in[1], in[2], {}, in[0].dtype())}; }, .tolerance = kStatistics},
    {.op = "normalize", .name = "root mean square", .inputs = {{{4, 37}}, {{37}}}, .call = [](In in) -> Out { return {ops::normalize(in[0], in[1], {}, {.rms = true}, in[0].dtype())}; }, .tolerance = kStatistics},
    {.op = "normalize", .name = "huge rows", .inputs = {{{4, 64}, Fill::kHuge}, {{64}}, {{64}}}, .call = [](In in) -> Out { return {ops::normalize(in[0], in[1], in[2], {}, in[0].dtype())}; },
     .use = Use::kCorrectness, .tolerance = kStatistics},
    {.op = "residual_normalize", .name = "both results used", .inputs = {{{6, 40}}, {{6, 40}}, {{40}}, {{40}}},
     .call = [](In in) -> Out { const auto r = ops::residual_normalize(in[0], in[1], in[2], in[3], {}, in[0].dtype()); return {r.sum, r.normal}; }, .tolerance = kStatistics},
    {.op = "residual_normalize", .name = "only the normal used", .inputs = {{{6, 40}}, {{6, 40}}, {{40}}, {{40}}},
     .call = [](In in) -> Out { return {ops::residual_normalize(in[0], in[1], in[2], in[3], {}, in[0].dtype()).normal}; }, .tolerance = kStatistics},
    {.op = "residual_normalize", .name = "a layer", .inputs = {{{4096, 512}}, {{4096, 512}}, {{512}}, {{512}}},
     .call = [](In in) -> Out { const auto r = ops::residual_normalize(in[0], in[1], in[2], in[3], {}, in[0].dtype()); return {r.sum, r.normal}; }, .use = Use::kBench, .tolerance = kStatistics},
});

const bool kRows = add_cases({
    {.op = "embedding", .name = "repeated, absent and unused rows", .inputs = {{{9, 11}}},
     .call = [](In in) -> Out { return {ops::embedding(in[0], ids(in[0], {3, 0, 3, -1, 8, 3, 0}), in[0].dtype())}; }, .tolerance = kStatistics},
    {.op = "embedding", .name = "a table that an op made, beside another use", .inputs = {{{9, 11}}},
     .call = [](In in) -> Out { const Variable table = ops::scale(in[0], 2); return {ops::embedding(table, ids(in[0], {3, 0, 3, -1, 8, 3, 0}), in[0].dtype()), ops::scale(table, 3)}; }, .tolerance = kStatistics},
    {.op = "gather_rows", .name = "some, one of them absent", .inputs = {{{9, 11}}}, .call = [](In in) -> Out { return {ops::gather_rows(in[0], ids(in[0], {3, 0, -1, 8, 5}))}; }},
    {.op = "gather_rows", .name = "beside another use", .inputs = {{{5, 8}}}, .call = [](In in) -> Out { return {ops::gather_rows(in[0], ids(in[0], {4, 1})), ops::scale(in[0], 2)}; }},
    {.op = "replace_rows", .name = "two of five", .inputs = {{{5, 9}}, {{3, 9}}}, .call = [](In in) -> Out { return {ops::replace_rows(in[0], ids(in[0], {4, -1, 1}), in[1])}; }, .tolerance = kStatistics},
    {.op = "rotary", .name = "queries and keys of a fused projection", .inputs = {{{2, 5, 6, 8}}},
     .call = [](In in) -> Out { return {ops::rotary(in[0], ids(in[0], {0, 1, 2, 3, 70}), 0, 4, 10000)}; }, .tolerance = {{DType::kF32, {4e-6}}, {DType::kBF16, {2e-2, "results have 8 bits of mantissa"}}}},
});

Out loss_of(const ops::CrossEntropyResult& result) { return {result.loss}; }

const bool kLoss = add_cases({
    {.op = "cross_entropy", .name = "with rows that are not scored", .inputs = {{{12, 19}}}, .call = [](In in) { return loss_of(ops::cross_entropy(in[0], ids(in[0], cycle(12, 19)))); }, .tolerance = kStatistics},
    {.op = "cross_entropy", .name = "smoothed and scaled", .inputs = {{{12, 19}}},
     .call = [](In in) { return loss_of(ops::cross_entropy(in[0], ids(in[0], cycle(12, 19)), {.label_smoothing = 0.1, .scale = 0.125})); }, .tolerance = kStatistics},
    {.op = "cross_entropy", .name = "nothing scored", .inputs = {{{3, 5}}}, .call = [](In in) { return loss_of(ops::cross_entropy(in[0], ids(in[0], {-1, -1, -1}))); }, .tolerance = kStatistics},
    {.op = "linear_cross_entropy", .name = "three chunks", .inputs = {{{13, 16}}, {{21, 16}}, {{21}}},
     .call = [](In in) { return loss_of(ops::linear_cross_entropy(in[0], in[1], in[2], ids(in[0], cycle(13, 21)), {.label_smoothing = 0.1, .scale = 0.25, .chunk_rows = 5})); }, .tolerance = kStatistics},
    {.op = "linear_cross_entropy", .name = "scaled afterwards", .inputs = {{{7, 16}}, {{21, 16}}},
     .call = [](In in) -> Out { return {ops::scale(ops::linear_cross_entropy(in[0], in[1], {}, ids(in[0], cycle(7, 21))).loss, 0.5)}; }, .tolerance = kStatistics},
    {.op = "linear_cross_entropy", .name = "a subword vocabulary", .inputs = {{{1024, 512}}, {{32000, 512}}},
     .call = [](In in) { return loss_of(ops::linear_cross_entropy(in[0], in[1], {}, ids(in[0], cycle(1024, 32000)), {.scale = 1.0 / 1024})); }, .use = Use::kBench, .tolerance = kStatistics,
     .flops = 6.0 * 1024 * 512 * 32000},
});

Out feed(In in, ops::FeedForwardOptions options) { return {ops::feed_forward(in[0], {.in = in[1], .in_bias = in[2], .out = in[3], .out_bias = in[4]}, options)}; }

const bool kFeedForward = add_cases({
    {.op = "feed_forward", .name = "gelu", .inputs = {{{2, 5, 16}}, parameter({24, 16}), parameter({24}), parameter({16, 24}), parameter({16})}, .call = [](In in) { return feed(in, {}); }, .tolerance = kProducts},
    {.op = "feed_forward", .name = "relu in chunks", .inputs = {{{11, 16}}, parameter({24, 16}), parameter({24}), parameter({16, 24}), parameter({16})},
     .call = [](In in) { return feed(in, {.activation = ops::Activation::kRelu, .chunk_rows = 4}); }, .tolerance = kProducts},
    {.op = "feed_forward", .name = "swiglu", .inputs = {{{7, 16}}, parameter({48, 16}), parameter({48}), parameter({16, 24}), parameter({16})},
     .call = [](In in) { return feed(in, {.activation = ops::Activation::kSwiglu}); }, .tolerance = {{DType::kF32, {1e-5, "products of products"}}, {DType::kBF16, {5e-2, "products of products"}}}},
    {.op = "feed_forward", .name = "swiglu in chunks", .inputs = {{{7, 16}}, parameter({48, 16}), parameter({48}), parameter({16, 24}), parameter({16})},
     .call = [](In in) { return feed(in, {.activation = ops::Activation::kSwiglu, .chunk_rows = 3}); }, .tolerance = {{DType::kF32, {1e-5, "products of products"}}, {DType::kBF16, {5e-2, "products of products"}}}},
    {.op = "feed_forward", .name = "a layer", .inputs = {{{4096, 512}}, parameter({2048, 512}), parameter({2048}), parameter({512, 2048}), parameter({512})}, .call = [](In in) { return feed(in, {}); }, .use = Use::kBench,
     .flops = 12.0 * 4096 * 512 * 2048},
});

std::vector<ReversibleBlock> two_blocks(const Variable& weight) {
  const auto branch = [weight](const Variable& x) { return ops::unary(ops::linear(x, weight, {}), ops::UnaryOp::kTanh); };
  return {{branch, branch}, {branch, branch}};
}

const bool kMemory = add_cases({
    {.op = "recompute", .name = "a layer used twice", .inputs = {{{5, 12}}, parameter({12, 12})},
     .call = [](In in) -> Out {
       const auto layer = [](std::span<const Variable> x) -> Out { return {ops::unary(ops::linear(x[0], x[1], {}), ops::UnaryOp::kTanh), ops::scale(x[0], 2)}; };
       const Out first = recompute(layer, in);
       const Variable again[] = {first[0], in[1]};
       return {recompute(layer, again)[0], first[1]};
     }, .tolerance = kProducts},
    {.op = "reversible", .name = "inputs rebuilt", .inputs = {{{5, 12}}, {{5, 12}}, parameter({12, 12})},
     .call = [](In in) -> Out { return reversible_sequence(two_blocks(in[2]), in[0], in[1], ReversibleBackward::kRebuild); },
     .tolerance = {{DType::kF32, {2e-5, "inputs are rebuilt in f32"}}}},
    {.op = "residual_sum", .name = "stored activations", .inputs = {{{5, 12}}, {{5, 12}}, parameter({12, 12})},
     .call = [](In in) -> Out { return reversible_sequence(two_blocks(in[2]), in[0], in[1], ReversibleBackward::kStored); }, .tolerance = {{DType::kF32, {1e-5}}}},
});

}  // namespace
}  // namespace longhaul::testing
