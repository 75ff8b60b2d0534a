// defines: OpCase, Fill, Use, cases, add_cases, make_input
//
// One description of an op's inputs feeds its parity with the reference, its gradient check, its determinism and shape
// checks, its benchmark and the support table.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "framework/autograd/variable.h"

namespace longhaul::testing {

enum class Fill { kNormal, kPositive, kConstant, kHuge, kFirstRowMinusInfinity };

struct Input {
  Shape shape;
  Fill fill = Fill::kNormal;
  bool parameter = false;  // stays f32 where activations are bf16, as in mixed precision
};
inline Input parameter(const Shape& shape) { return {shape, Fill::kNormal, true}; }

enum class Use {
  kAll,
  kCorrectness,  // too small to time
  kBench,        // too large to differentiate numerically
};

struct Tolerance {
  double value = 0;          // of |found - expected| / max(1, largest |expected| of the tensor)
  const char* reason = "";   // why it is wide
};

struct OpCase {
  std::string op;    // the name the op is recorded under
  std::string name;  // a few words
  std::vector<Input> inputs;  // floating operands, in the dtype under test
  std::function<std::vector<Variable>(std::span<const Variable>)> call;
  Use use = Use::kAll;
  std::map<DType, Tolerance> tolerance = {{DType::kF32, {2e-6}}, {DType::kBF16, {2e-2, "operands and results have 8 bits of mantissa"}}};
  double gradient_error = 1e-6;        // of the f64 check
  bool gradient = true;                // false where a value sits on a kink or is not finite by contract
  double flops = 0;                    // forward and backward, for the benchmark; 0: bytes only
};

/// All cases, by order of registration.
const std::vector<OpCase>& cases();
bool add_cases(std::vector<OpCase> list);

/// Values of input k of a case, the same for every device; bf16 values are representable, so every dtype sees equal numbers.
Tensor make_input(const Input& input, uint32_t k, DType dtype, Device device);

}  // namespace longhaul::testing
