// Speed of the ops of the case table (tests/cases) on the cpu device, forward and backward together, for every element
// type a case has. Cases that know their work print GF/s, the others GB/s of operands, results and their gradients.
//   build/bench_ops --benchmark_filter=softmax
#include <benchmark/benchmark.h>

#include <string>

#include "framework/autograd/tape.h"
#include "tests/cases/case_table.h"

namespace longhaul::testing {
namespace {

// Forward and backward of a case, again and again.
class Repeated {
 public:
  Repeated(const OpCase& test, DType dtype) : test_(test) {
    for (size_t k = 0; k < test.inputs.size(); ++k) {
      inputs_.push_back(Variable::leaf(make_input(test.inputs[k], static_cast<uint32_t>(k), dtype, Device::cpu())));
      bytes_ += 2 * inputs_.back().value().bytes();
    }
    for (const Variable& output : test.call(inputs_)) {
      seeds_.push_back(make_input({output.shape()}, 100, output.dtype(), Device::cpu()));
      bytes_ += 2 * output.value().bytes();
    }
  }
  void run() const {
    TapeScope scope;
    const std::vector<Variable> outputs = test_.call(inputs_);
    scope.tape().backward(outputs, seeds_);
    for (const Variable& input : inputs_) input.clear_gradient();
  }
  double bytes() const { return static_cast<double>(bytes_); }

 private:
  const OpCase& test_;
  std::vector<Variable> inputs_;
  std::vector<Tensor> seeds_;
  int64_t bytes_ = 0;
};

void measure(benchmark::State& state, const OpCase& test, DType dtype) {
  const Repeated repeated(test, dtype);
  repeated.run();
  for (auto step : state) repeated.run();
  const bool counted = test.flops > 0;
  state.counters[counted ? "GF/s" : "GB/s"] = benchmark::Counter((counted ? test.flops : repeated.bytes()) * 1e-9,
                                                                 benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace
}  // namespace longhaul::testing

int main(int argc, char** argv) {
  using namespace longhaul;
  for (const testing::OpCase& test : testing::cases()) {
    if (test.use == testing::Use::kCorrectness) continue;
    for (const auto& [dtype, tolerance] : test.tolerance) {
      const std::string name = test.op + "/" + test.name + "/" + std::string(name_of(dtype));
      benchmark::RegisterBenchmark(name.c_str(), [&test, dtype = dtype](benchmark::State& state) {
        testing::measure(state, test, dtype);
      })->UseRealTime();
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
