// Speed of the cpu kernels at the shapes of a training step. Products print GF/s beside the register-loop peak of the
// same process, all others GB/s of tensor bytes read and written. LONGHAUL_ISA and OMP_NUM_THREADS choose what runs.
//   build/bench_kernels --benchmark_filter=gemm
#include <benchmark/benchmark.h>

#include <functional>
#include <string>

#include "framework/kernels/backend.h"
#include "framework/tensor/random.h"
#include "framework/tensor/tensor.h"

namespace longhaul {
namespace {

using kernels::MatmulOptions;

const kernels::Backend& cpu() { return kernels::backend(Device::cpu()); }

Tensor numbers(const Shape& shape, DType dtype) {
  std::vector<float> values(static_cast<size_t>(shape.elements()));
  const RandomStream stream;
  for (size_t i = 0; i < values.size(); ++i) values[i] = stream.uniform(i % 65536) - 0.5f;
  const Tensor out = Tensor::empty(shape, dtype, Device::cpu());
  cpu().elementwise.axpby(Tensor::of(shape, values), out, 1, 0);
  return out;
}

std::string label(const std::string& kernel, DType dtype) { return kernel + "/" + std::string(name_of(dtype)); }

/// Registers a benchmark. `work` counts floating-point operations (rate "GF/s") or bytes (rate "GB/s") of one call.
void measure(const std::string& name, double work, const char* rate, std::function<std::function<void()>()> prepare) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) {
                                 const std::function<void()> call = prepare();
                                 call();
                                 for (auto step : state) call();
                                 state.counters[rate] =
                                     benchmark::Counter(work * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
                               })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

void measure_product(const std::string& use, int64_t m, int64_t n, int64_t k, bool ta, bool tb, DType dtype, DType out,
                     bool accumulate) {
  const std::string name =
      label("gemm/" + use + "/" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k), dtype);
  const double operations = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const bool streams = m <= 4;
  const double weight_bytes = static_cast<double>(n * k) * static_cast<double>(size_of(dtype));
  measure(name, streams ? weight_bytes : operations, streams ? "GB/s" : "GF/s", [=]() -> std::function<void()> {
    const Tensor a = numbers(ta ? Shape{k, m} : Shape{m, k}, dtype), b = numbers(tb ? Shape{n, k} : Shape{k, n}, dtype),
                 c = numbers({m, n}, out);
    return [=] {
      cpu().matmul.gemm(a, b, absent(), c,
                        MatmulOptions{.transpose_a = ta, .transpose_b = tb, .accumulate = accumulate});
    };
  });
}

void products(DType dtype) {
  constexpr int64_t kTokens = 4096;
  measure_product("forward", kTokens, 2048, 512, false, true, dtype, dtype, false);
  measure_product("forward", kTokens, 512, 2048, false, true, dtype, dtype, false);
  measure_product("forward", kTokens, 1536, 512, false, true, dtype, dtype, false);
  measure_product("forward", kTokens, 512, 512, false, true, dtype, dtype, false);
  measure_product("head", kTokens, 256, 512, false, true, dtype, DType::kF32, false);
  measure_product("dx", kTokens, 512, 2048, false, false, dtype, dtype, false);
  measure_product("dx", kTokens, 2048, 512, false, false, dtype, dtype, false);
  measure_product("dw", 2048, 512, kTokens, true, false, dtype, DType::kF32, true);
  measure_product("dw", 512, 2048, kTokens, true, false, dtype, DType::kF32, true);
  measure_product("dw", 512, 512, kTokens, true, false, dtype, DType::kF32, true);
  measure_product("dw", 256, 512, kTokens, true, false, dtype, DType::kF32, true);
  measure_product("square", 1024, 1024, 1024, false, false, dtype, DType::kF32, false);
  measure_product("decode", 1, 37632, 512, false, true, dtype, DType::kF32, false);
  measure_product("decode", 1, 512, 37632, false, true, dtype, DType::kF32, false);
  measure_product("decode", 4, 37632, 512, false, true, dtype, DType::kF32, false);
  measure_product("decode", 1, 37632, 512, false, false, dtype, DType::kF32, false);
  measure_product("small", 64, 64, 64, false, false, dtype, DType::kF32, false);
}

void elementwise(DType dtype) {
  constexpr int64_t kRows = 4096, kWidth = 2048;
  const double bytes = static_cast<double>(kRows * kWidth) * static_cast<double>(size_of(dtype));
  const auto make = [dtype] { return numbers({kRows, kWidth}, dtype); };
  for (const auto& [name, op] : {std::pair{"gelu", kernels::UnaryOp::kGelu},
                                 {"gelu_tanh", kernels::UnaryOp::kGeluTanh},
                                 {"silu", kernels::UnaryOp::kSilu},
                                 {"exp", kernels::UnaryOp::kExp}}) {
    measure(label(std::string(name) + "/forward", dtype), 2 * bytes, "GB/s", [=, op = op]() -> std::function<void()> {
      const Tensor x = make(), y = make();
      return [=] { cpu().elementwise.unary(x, y, op); };
    });
    measure(label(std::string(name) + "/backward", dtype), 3 * bytes, "GB/s", [=, op = op]() -> std::function<void()> {
      const Tensor x = make(), dy = make(), dx = make();
      return [=] { cpu().elementwise.unary_backward(x, dy, dx, op); };
    });
  }
  measure(label("add", dtype), 3 * bytes, "GB/s", [=]() -> std::function<void()> {
    const Tensor a = make(), b = make(), c = make();
    return [=] { cpu().elementwise.binary(a, b, c, kernels::BinaryOp::kAdd); };
  });
  measure(label("add_bias", dtype), 2 * bytes, "GB/s", [=]() -> std::function<void()> {
    const Tensor a = make(), b = numbers({kWidth}, dtype), c = make();
    return [=] { cpu().elementwise.binary(a, b, c, kernels::BinaryOp::kAdd); };
  });
  measure(label("copy", dtype), 2 * bytes, "GB/s", [=]() -> std::function<void()> {
    const Tensor a = make(), b = make();
    return [=] { cpu().elementwise.copy(a, b); };
  });
  measure(label("transpose", dtype), 2 * bytes, "GB/s", [=]() -> std::function<void()> {
    const Tensor a = make(), b = make().reshape({kWidth, kRows}).permute({1, 0});
    return [=] { cpu().elementwise.copy(a, b); };
  });
  measure(label("split_heads", dtype), 2 * bytes, "GB/s", [=]() -> std::function<void()> {
    const Tensor a = make().reshape({1, kRows, kWidth / 64, 64}).permute({0, 2, 1, 3}),
                 b = make().reshape({1, kWidth / 64, kRows, 64});
    return [=] { cpu().elementwise.copy(a, b); };
  });
  measure(label("cast_to_bf16", dtype), bytes + 2.0 * kRows * kWidth, "GB/s", [=]() -> std::function<void()> {
    const Tensor a = make(), b = numbers({kRows, kWidth}, DType::kBF16);
    return [=] { cpu().elementwise.axpby(a, b, 1, 0); };
  });
  measure(label("dropout", dtype), 2 * bytes, "GB/s", [=]() -> std::function<void()> {
    const Tensor a = make(), b = make();
    return [=] { cpu().elementwise.dropout(a, b, {{1, 2, 3, RandomPurpose::kResidualDropout}, 0.1, 0}); };
  });
  measure(label("swiglu", dtype), 1.5 * bytes, "GB/s", [=]() -> std::function<void()> {
    const Tensor x = make(), y = numbers({kRows, kWidth / 2}, dtype);
    return [=] { cpu().elementwise.swiglu(x, y); };
  });
}

void rows(DType dtype) {
  constexpr int64_t kRows = 4096, kWidth = 512;
  const double wide = static_cast<double>(kRows * kWidth) * 4,
               narrow = static_cast<double>(kRows * kWidth) * static_cast<double>(size_of(dtype));
  const auto stream = [] { return numbers({kRows, kWidth}, DType::kF32); };
  const auto branch = [dtype] { return numbers({kRows, kWidth}, dtype); };
  const auto column = [] { return numbers({kRows}, DType::kF32); };
  const auto line = [] { return numbers({kWidth}, DType::kF32); };
  measure(label("norm/residual_forward", dtype), 2 * wide + 2 * narrow, "GB/s", [=]() -> std::function<void()> {
    const Tensor x = stream(), delta = branch(), gamma = line(), beta = line(), sum = stream(), y = branch(),
                 mean = column(), rstd = column();
    return [=] { cpu().norm.forward(x, delta, gamma, beta, sum, y, mean, rstd, {}); };
  });
  measure(label("norm/residual_backward", dtype), 3 * wide + 2 * narrow, "GB/s", [=]() -> std::function<void()> {
    const Tensor dy = branch(), dsum = stream(), x = stream(), gamma = line(), mean = column(), rstd = column(),
                 dx = stream(), ddelta = branch(), dgamma = line(), dbeta = line();
    return [=] { cpu().norm.backward(dy, dsum, x, gamma, mean, rstd, dx, ddelta, dgamma, dbeta, {}); };
  });
  measure(label("softmax/forward", dtype), 2 * narrow, "GB/s", [=]() -> std::function<void()> {
    const Tensor x = branch(), y = branch();
    return [=] { cpu().softmax.forward(x, y); };
  });
  for (const int64_t classes : {256, 32000}) {
    const int64_t scored = 512 * 4096 / classes;
    measure("cross_entropy/" + std::to_string(classes), static_cast<double>(scored * classes) * 8, "GB/s",
            [=]() -> std::function<void()> {
              const Tensor x = numbers({scored, classes}, DType::kF32), dx = numbers({scored, classes}, dtype),
                           nll = numbers({scored}, DType::kF32),
                           target = Tensor::zeros({scored}, DType::kI32, Device::cpu());
              return [=] { cpu().cross_entropy.forward(x, target, nll, absent(), dx, {}); };
            });
  }
  measure(label("column_sum", dtype), narrow, "GB/s", [=]() -> std::function<void()> {
    const Tensor x = branch(), y = line();
    return [=] { cpu().reduce.column_sum(x, y, true); };
  });
  measure(label("rotary", dtype), 2 * narrow, "GB/s", [=]() -> std::function<void()> {
    std::vector<int32_t> places(kRows);
    for (int32_t i = 0; i < kRows; ++i) places[static_cast<size_t>(i)] = i;
    const Tensor x = branch().reshape({1, kRows, 8, 64}), position = Tensor::of({kRows}, places);
    return [=] { cpu().rotary.rotate(x, position, x, {}); };
  });
  measure(label("rows/gather", dtype), 2 * narrow, "GB/s", [=]() -> std::function<void()> {
    const Tensor table = numbers({256, kWidth}, dtype), index = Tensor::zeros({kRows}, DType::kI32, Device::cpu()),
                 y = branch();
    return [=] { cpu().rows.gather(table, index, y); };
  });
  measure(label("rows/scatter_add", dtype), narrow, "GB/s", [=]() -> std::function<void()> {
    const RandomStream random;
    std::vector<int32_t> tokens(kRows);
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(random.word(i) % 256);
    const Tensor dy = branch(), index = Tensor::of({kRows}, tokens),
                 table = Tensor::zeros({256, kWidth}, DType::kF32, Device::cpu());
    const Tensor order = Tensor::zeros({kRows}, DType::kI32, Device::cpu()),
                 starts = Tensor::zeros({257}, DType::kI32, Device::cpu());
    return [=] { cpu().rows.scatter_add(dy, index, table, order, starts); };
  });
}

void optimizers() {
  constexpr int64_t kParameters = 19 << 20;
  measure("adam", 28.0 * kParameters, "GB/s", []() -> std::function<void()> {
    const Tensor w = numbers({kParameters}, DType::kF32), g = numbers({kParameters}, DType::kF32),
                 m = Tensor::zeros({kParameters}, DType::kF32, Device::cpu()),
                 v = Tensor::zeros({kParameters}, DType::kF32, Device::cpu());
    return [=] { cpu().optimizer.adam(w, g, m, v, {.learning_rate = 1e-4f}); };
  });
  measure("sum_of_squares", 4.0 * kParameters, "GB/s", []() -> std::function<void()> {
    const Tensor g = numbers({kParameters}, DType::kF32), y = Tensor::zeros({1}, DType::kF64, Device::cpu());
    return [=] { cpu().reduce.sum_of_squares(g, y); };
  });
  measure("adafactor", 24.0 * (kParameters / 4), "GB/s", []() -> std::function<void()> {
    const Shape shape{kParameters / 4 / 1024, 1024};
    const Tensor w = numbers(shape, DType::kF32), g = numbers(shape, DType::kF32), u = numbers(shape, DType::kF32),
                 row = Tensor::zeros({shape[0]}, DType::kF32, Device::cpu()),
                 column = Tensor::zeros({1024}, DType::kF32, Device::cpu());
    return [=] { cpu().optimizer.adafactor(w, g, row, column, absent(), absent(), u, {.alpha = 1e-4f}); };
  });
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) {
  using namespace longhaul;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    benchmark::AddCustomContext("register-loop peak " + std::string(name_of(dtype)) + ", GF/s",
                                std::to_string(cpu().peak(dtype) * 1e-9));
    products(dtype);
    elementwise(dtype);
    rows(dtype);
  }
  optimizers();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
