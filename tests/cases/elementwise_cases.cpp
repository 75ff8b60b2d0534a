#include "framework/ops/elementwise.h"
#include "framework/ops/reduce.h"
#include "framework/ops/shape.h"
#include "framework/ops/softmax.h"
#include "tests/cases/case_table.h"

namespace longhaul::testing {
namespace {

using In = std::span<const Variable>;
using Out = std::vector<Variable>;
using ops::UnaryOp;

OpCase unary_case(const char* name, UnaryOp op, Fill fill = Fill::kNormal) {
  return {.op = "unary", .name = name, .inputs = {{{3, 67}, fill}}, .call = [op](In in) -> Out { return {ops::unary(in[0], op)}; }};
}

const bool kElementwise = add_cases({
    {.op = "add", .name = "same shape", .inputs = {{{3, 65}}, {{3, 65}}}, .call = [](In in) -> Out { return {ops::add(in[0], in[1])}; }},
    {.op = "add", .name = "repeated over leading axes", .inputs = {{{2, 5, 17}}, {{5, 17}}}, .call = [](In in) -> Out { return {ops::add(in[0], in[1])}; }},
    {.op = "add", .name = "a row", .inputs = {{{7, 33}}, {{33}}}, .call = [](In in) -> Out { return {ops::add(in[0], in[1])}; }},
    {.op = "subtract", .name = "a row", .inputs = {{{7, 33}}, {{33}}}, .call = [](In in) -> Out { return {ops::subtract(in[0], in[1])}; }},
    {.op = "multiply", .name = "same shape", .inputs = {{{3, 65}}, {{3, 65}}}, .call = [](In in) -> Out { return {ops::multiply(in[0], in[1])}; }},
    {.op = "multiply", .name = "one element", .inputs = {{{4, 9}}, {{1}}}, .call = [](In in) -> Out { return {ops::multiply(in[0], ops::reshape(in[1], {}))}; }},
    {.op = "divide", .name = "a row", .inputs = {{{4, 19}}, {{19}, Fill::kPositive}}, .call = [](In in) -> Out { return {ops::divide(in[0], in[1])}; },
     .tolerance = {{DType::kF32, {5e-6}}, {DType::kBF16, {4e-2, "a quotient of rounded values, summed over rows"}}}},
    {.op = "scale", .name = "odd tail", .inputs = {{{5, 33}}}, .call = [](In in) -> Out { return {ops::scale(in[0], -1.5)}; }},
    {.op = "cast", .name = "to the same floating type and back", .inputs = {{{3, 40}}},
     .call = [](In in) -> Out { return {ops::cast(ops::cast(in[0], in[0].dtype() == DType::kF64 ? DType::kF64 : DType::kF32), in[0].dtype())}; }},
    unary_case("gelu", UnaryOp::kGelu), unary_case("gelu by tanh", UnaryOp::kGeluTanh), unary_case("relu", UnaryOp::kRelu), unary_case("silu", UnaryOp::kSilu),
    unary_case("tanh", UnaryOp::kTanh), unary_case("sigmoid", UnaryOp::kSigmoid), unary_case("exp", UnaryOp::kExp), unary_case("square", UnaryOp::kSquare),
    unary_case("log", UnaryOp::kLog, Fill::kPositive), unary_case("square root", UnaryOp::kSqrt, Fill::kPositive),
    {.op = "unary", .name = "gelu of a hidden layer", .inputs = {{{2048, 2048}}}, .call = [](In in) -> Out { return {ops::unary(in[0], UnaryOp::kGelu)}; }, .use = Use::kBench},
    {.op = "dropout", .name = "a third dropped", .inputs = {{{9, 31}}},
     .call = [](In in) -> Out { return {ops::dropout(in[0], {.stream = {.seed = 3, .step = 5, .layer = 2}, .probability = 1.0 / 3, .first_element = 77})}; }},
    {.op = "dropout", .name = "a residual branch", .inputs = {{{4096, 512}}},
     .call = [](In in) -> Out { return {ops::dropout(in[0], {.stream = {.seed = 3, .step = 5, .layer = 2}, .probability = 0.1, .first_element = 0})}; }, .use = Use::kBench},
    {.op = "dropout_rows", .name = "as in the whole", .inputs = {{{4, 31}}},
     .call = [](In in) -> Out { return {ops::dropout_rows(in[0], Tensor::of<int32_t>({4}, {0, 3, 4, 11}, in[0].device()), {.stream = {.seed = 3, .step = 5, .layer = 2}, .probability = 1.0 / 3, .first_element = 77})}; }},
    {.op = "swiglu", .name = "odd tail", .inputs = {{{3, 5, 22}}}, .call = [](In in) -> Out { return {ops::swiglu(in[0])}; }},
});

const bool kReduce = add_cases({
    {.op = "sum", .name = "odd", .inputs = {{{3, 77}}}, .call = [](In in) -> Out { return {ops::sum(in[0])}; }},
    {.op = "sum", .name = "mean of many", .inputs = {{{5, 301}}}, .call = [](In in) -> Out { return {ops::mean(in[0])}; }},
});

const bool kShape = add_cases({
    {.op = "reshape", .name = "inferred size", .inputs = {{{4, 6}}}, .call = [](In in) -> Out { return {ops::reshape(in[0], {2, -1, 3})}; }},
    {.op = "permute", .name = "heads before rows", .inputs = {{{2, 5, 3, 8}}}, .call = [](In in) -> Out { return {ops::permute(in[0], {0, 2, 1, 3})}; }},
    {.op = "permute", .name = "three turned", .inputs = {{{3, 4, 5}}}, .call = [](In in) -> Out { return {ops::permute(in[0], {2, 0, 1})}; }},
    {.op = "slice", .name = "inner axis", .inputs = {{{2, 7, 5}}}, .call = [](In in) -> Out { return {ops::slice(in[0], 1, 2, 6)}; }},
    {.op = "concat", .name = "three parts of the last axis", .inputs = {{{2, 3}}, {{2, 4}}, {{2, 1}}}, .call = [](In in) -> Out { return {ops::concat(in, -1)}; }},
    {.op = "concat", .name = "the same part twice", .inputs = {{{2, 3}}},
     .call = [](In in) -> Out { const Variable twice[] = {in[0], in[0]}; return {ops::concat(twice, 0)}; }},
});

const bool kSoftmax = add_cases({
    {.op = "softmax", .name = "one element", .inputs = {{{3, 1}}}, .call = [](In in) -> Out { return {ops::softmax(in[0])}; }, .use = Use::kCorrectness},
    {.op = "softmax", .name = "odd tail", .inputs = {{{3, 65}}}, .call = [](In in) -> Out { return {ops::softmax(in[0])}; }, .use = Use::kCorrectness},
    {.op = "softmax", .name = "equal logits", .inputs = {{{4, 16}, Fill::kConstant}}, .call = [](In in) -> Out { return {ops::softmax(in[0])}; }, .use = Use::kCorrectness},
    {.op = "softmax", .name = "huge logits", .inputs = {{{4, 16}, Fill::kHuge}}, .call = [](In in) -> Out { return {ops::softmax(in[0])}; }, .use = Use::kCorrectness},
    {.op = "softmax", .name = "a row with nothing visible", .inputs = {{{4, 16}, Fill::kFirstRowMinusInfinity}}, .call = [](In in) -> Out { return {ops::softmax(in[0])}; }, .use = Use::kCorrectness,
     .gradient = false},
    {.op = "softmax", .name = "attention scores", .inputs = {{{4096, 1024}}}, .call = [](In in) -> Out { return {ops::softmax(in[0])}; }, .use = Use::kBench},
    {.op = "log_softmax", .name = "odd tail", .inputs = {{{3, 65}}}, .call = [](In in) -> Out { return {ops::log_softmax(in[0])}; },
     .tolerance = {{DType::kF32, {2e-6}}, {DType::kBF16, {3e-2, "values near 5 have a spacing of 0.03"}}}},
});

}  // namespace
}  // namespace longhaul::testing
