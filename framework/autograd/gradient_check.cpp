#include "framework/autograd/gradient_check.h"

#include <algorithm>
#include <cmath>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/tensor/random.h"

namespace longhaul {
namespace {

Tensor cotangent(const Tensor& like, uint32_t output) {
  const RandomStream stream{.seed = 20260101, .step = 0, .layer = output, .purpose = RandomPurpose::kTest};
  const Tensor out = Tensor::empty(like.shape(), like.dtype(), like.device());
  for (int64_t i = 0; i < out.elements(); ++i) {
    const double value = 2.0 * stream.uniform(static_cast<uint64_t>(i)) - 1.0;
    if (out.dtype() == DType::kF64) out.data<double>()[i] = value;
    else out.data<float>()[i] = static_cast<float>(value);
  }
  return out;
}

double element(const Tensor& tensor, int64_t i) {
  return tensor.dtype() == DType::kF64 ? tensor.data<double>()[i] : static_cast<double>(tensor.data<float>()[i]);
}

double inner(std::span<const Variable> outputs) {
  double total = 0;
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Tensor weights = cotangent(outputs[k].value(), static_cast<uint32_t>(k));
    for (int64_t i = 0; i < weights.elements(); ++i) {
      const double value = element(outputs[k].value(), i);
      if (std::isfinite(value)) total += element(weights, i) * value;  // a log-sum-exp of an empty row is -inf by contract
    }
  }
  return total;
}

}  // namespace

GradientCheck check_gradient(const std::function<std::vector<Variable>(std::span<const Variable>)>& function, const std::vector<Tensor>& inputs,
                             double step) {
  TapeScope scope;
  std::vector<Variable> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.dtype() == DType::kF64 ? Variable::leaf(input) : Variable(input));
  const std::vector<Variable> outputs = function(leaves);
  std::vector<Tensor> seeds;
  for (size_t k = 0; k < outputs.size(); ++k) seeds.push_back(cotangent(outputs[k].value(), static_cast<uint32_t>(k)));
  scope.tape().backward(outputs, std::move(seeds));

  const NoTapeScope quiet;
  GradientCheck result;
  for (size_t k = 0; k < leaves.size(); ++k) {
    if (!leaves[k].needs_gradient()) continue;
    const Tensor analytic = leaves[k].gradient();
    double* values = inputs[k].data<double>();
    for (int64_t i = 0; i < inputs[k].elements(); ++i) {
      const double original = values[i];
      const auto at = [&](double value) {
        values[i] = value;
        for (const Variable& leaf : leaves) leaf.changed();
        const double out = inner(function(leaves));
        values[i] = original;
        return out;
      };
      const double numeric = (at(original + step) - at(original - step)) / (2 * step);
      const double found = analytic.data<double>()[i];
      const double error = std::abs(found - numeric) / std::max({1.0, std::abs(found), std::abs(numeric)});
      if (!(error <= result.max_relative_error)) {
        result.max_relative_error = std::isnan(error) ? INFINITY : error;
        result.worst = fmt::format("input {} element {}: analytic {}, numeric {}", k, i, found, numeric);
      }
    }
  }
  return result;
}

}  // namespace longhaul
