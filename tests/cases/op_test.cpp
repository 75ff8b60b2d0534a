#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <regex>
#include <set>
#include <sstream>

#include "framework/autograd/gradient_check.h"
#include "framework/autograd/tape.h"
#include "framework/base/threads.h"
#include "framework/kernels/backend.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"
#include "tests/cases/case_table.h"
#include "tests/support/paths.h"

namespace longhaul::testing {
namespace {

struct Results {
  std::vector<Tensor> values;  // outputs, then the gradient of every input
};

Tensor cotangent(const Tensor& like, uint32_t k) {
  const Tensor wide = make_input({like.shape(), Fill::kNormal}, 100 + k, like.dtype(), like.device());
  return wide;
}

Results run(const OpCase& test, DType dtype, Device device) {
  TapeScope scope;
  std::vector<Variable> inputs;
  for (size_t k = 0; k < test.inputs.size(); ++k) inputs.push_back(Variable::leaf(make_input(test.inputs[k], static_cast<uint32_t>(k), dtype, device)));
  const std::vector<Variable> outputs = test.call(inputs);
  Results results;
  std::vector<Tensor> seeds;
  for (const Variable& output : outputs) {
    results.values.push_back(output.value());
    seeds.push_back(cotangent(output.value(), static_cast<uint32_t>(seeds.size())));
  }
  scope.tape().backward(outputs, seeds);
  for (const Variable& input : inputs) results.values.push_back(input.gradient());
  return results;
}

double element(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kF64: return t.data<double>()[i];
    case DType::kBF16: return static_cast<float>(t.data<bfloat16>()[i]);
    default: return t.data<float>()[i];
  }
}

double distance(const Tensor& found, const Tensor& expected) {
  double largest = 1, error = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double e = element(expected, i), f = element(found, i);
    if (std::isinf(e) || std::isnan(e)) {
      if (!(f == e || (std::isnan(e) && std::isnan(f)))) return INFINITY;
      continue;
    }
    largest = std::max(largest, std::abs(e));
    error = std::max(error, std::isnan(f) ? INFINITY : std::abs(f - e));
  }
  return error / largest;
}

class EveryOp : public ::testing::TestWithParam<size_t> {
 protected:
  const OpCase& test() const { return cases()[GetParam()]; }
};

TEST_P(EveryOp, CpuAgreesWithTheReference) {
  if (test().use == Use::kBench) return;
  const Results expected = run(test(), DType::kF64, Device::reference());
  for (const auto& [dtype, tolerance] : test().tolerance) {
    const Results found = run(test(), dtype, Device::cpu());
    ASSERT_EQ(found.values.size(), expected.values.size());
    for (size_t k = 0; k < found.values.size(); ++k) {
      ASSERT_EQ(found.values[k].shape(), expected.values[k].shape());
      EXPECT_LE(distance(found.values[k], expected.values[k]), tolerance.value) << name_of(dtype) << " tensor " << k << " (outputs first, then gradients)";
    }
  }
}

TEST_P(EveryOp, GradientEqualsFiniteDifferences) {
  if (test().use == Use::kBench || !test().gradient) return;
  std::vector<Tensor> inputs;
  for (size_t k = 0; k < test().inputs.size(); ++k) inputs.push_back(make_input(test().inputs[k], static_cast<uint32_t>(k), DType::kF64, Device::reference()));
  // A step in proportion to the values, so that huge ones still move.
  const bool huge = !test().inputs.empty() && test().inputs[0].fill == Fill::kHuge;
  const GradientCheck check = check_gradient(test().call, inputs, huge ? 1e-2 : 1e-6);
  EXPECT_LE(check.max_relative_error, test().gradient_error) << check.worst;
}

TEST_P(EveryOp, BitsDoNotDependOnThreads) {
  if (test().use == Use::kBench) return;
  for (const auto& [dtype, tolerance] : test().tolerance) {
    set_thread_count(1);
    const Results expected = run(test(), dtype, Device::cpu());
    for (const int threads : {2, 3, 8}) {
      set_thread_count(threads);
      const Results found = run(test(), dtype, Device::cpu());
      for (size_t k = 0; k < found.values.size(); ++k) {
        const Tensor a = ops::dense(found.values[k]), b = ops::dense(expected.values[k]);
        EXPECT_EQ(0, std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes()))) << threads << " threads, tensor " << k;
      }
    }
    set_thread_count(0);
  }
}

TEST_P(EveryOp, MetaGivesTheSameShapes) {
  const DType dtype = DType::kF32;
  const Results meta = run(test(), dtype, Device::meta());
  if (test().use == Use::kBench) return;
  const Results real = run(test(), dtype, Device::cpu());
  for (size_t k = 0; k < meta.values.size(); ++k) {
    EXPECT_EQ(meta.values[k].shape(), real.values[k].shape());
    EXPECT_EQ(meta.values[k].dtype(), real.values[k].dtype());
  }
}

std::string case_name(const ::testing::TestParamInfo<size_t>& info) {
  std::string name = cases()[info.param].op + "_" + cases()[info.param].name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name + "_" + std::to_string(info.param);
}

INSTANTIATE_TEST_SUITE_P(Cases, EveryOp, ::testing::Range<size_t>(0, cases().size()), case_name);

/// Names under which ops record themselves, read from the sources: a new op without a case is found here.
std::set<std::string> recorded_ops() {
  std::set<std::string> names;
  const std::regex pattern(R"re((?:\brecord|linear_pair)\("([a-z_]+)")re");
  for (const char* folder : {"framework/ops", "framework/attention", "framework/autograd"}) {
    for (const auto& entry : std::filesystem::directory_iterator(source_folder() + "/" + folder)) {
      if (entry.path().extension() != ".cpp") continue;
      std::ifstream file(entry.path());
      std::stringstream text;
      text << file.rdbuf();
      const std::string source = text.str();
      for (std::sregex_iterator it(source.begin(), source.end(), pattern), end; it != end; ++it) names.insert((*it)[1]);
    }
  }
  return names;
}

/// The kernels that the cases of an op call when their operands are of a type.
std::set<std::pair<std::string, DType>> kernels_of(const std::string& op, DType dtype) {
  std::set<std::pair<std::string, DType>> used;
  const MetaMemoryScope memory;
  const kernels::KernelUseRecorder recorder(
      [&used](std::string_view kernel, DType of) { used.emplace(kernel, of); });
  for (const OpCase& test : cases()) {
    if (test.op == op) run(test, dtype, Device::meta());
  }
  return used;
}

TEST(CaseTable, SupportOfEveryOpIsPrinted) {
  std::set<std::string> ops;
  for (const OpCase& test : cases()) ops.insert(test.op);
  for (const std::string& op : ops) {
    std::string line = "support  " + op;
    line.resize(std::max<size_t>(line.size(), 36), ' ');
    for (const kernels::Backend* backend : kernels::backends()) {
      line += std::string("  ") + backend->name + ":";
      for (const DType dtype : {DType::kF64, DType::kF32, DType::kBF16, DType::kF16}) {
        const auto used = kernels_of(op, dtype);
        const bool all = std::ranges::all_of(
            used, [&](const auto& one) { return kernels::supports(*backend, one.first, one.second); });
        if (all) line += " " + std::string(name_of(dtype));
        const bool promised = (std::string(backend->name) == "cpu" && dtype == DType::kF32) ||
                              (std::string(backend->name) == "reference" && dtype == DType::kF64);
        EXPECT_TRUE(all || !promised) << op << " lacks kernels on " << backend->name << " for " << name_of(dtype);
      }
    }
    std::cout << line << "\n";
  }
}

TEST(CaseTable, EveryRecordedOpHasACase) {
  std::set<std::string> covered;
  for (const OpCase& test : cases()) covered.insert(test.op);
  const std::set<std::string> recorded = recorded_ops();
  EXPECT_GT(recorded.size(), 20u);
  for (const std::string& name : recorded) EXPECT_TRUE(covered.contains(name)) << "op \"" << name << "\" has no case in tests/cases";
  for (const std::string& name : covered) EXPECT_TRUE(recorded.contains(name)) << "cases of \"" << name << "\" name no recorded op";
}

}  // namespace
}  // namespace longhaul::testing
