#include "tests/support/mixer_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "framework/autograd/tape.h"
#include "framework/tensor/random.h"

namespace longhaul::testing {
namespace {

double element(const Tensor& tensor, int64_t i) { return tensor.dtype() == DType::kF64 ? tensor.data<double>()[i] : static_cast<double>(tensor.data<float>()[i]); }

double weighted_sum(const models::Mixer& mixer, const Tensor& hidden, const models::SequenceInfo& sequence, const nn::StepContext& context, const std::vector<double>& weights) {
  const NoTapeScope quiet;
  const std::vector<double> out = numbers_of(mixer.forward(Variable(hidden), sequence, context).value());
  double sum = 0;
  for (size_t i = 0; i < out.size(); ++i) sum += out[i] * weights[i];
  return sum;
}

constexpr uint64_t kCotangentSeed = 77;

}  // namespace

std::vector<double> random_values(int64_t count, uint64_t seed, double size) {
  const RandomStream stream{seed, 0, 0, RandomPurpose::kTest};
  std::vector<double> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(size * stream.normal(static_cast<uint64_t>(i)));
  return out;
}

Tensor random_tensor(const Shape& shape, uint64_t seed, DType dtype, Device device, double size) {
  const std::vector<double> values = random_values(shape.elements(), seed, size);
  if (dtype == DType::kF64) return Tensor::of<double>(shape, values, device);
  return Tensor::of<float>(shape, std::vector<float>(values.begin(), values.end()), device);
}

std::vector<double> numbers_of(const Tensor& tensor) {
  std::vector<double> out;
  for (int64_t i = 0; i < tensor.elements(); ++i) out.push_back(element(tensor, i));
  return out;
}

void set_parameters(const nn::Module& module, double size) {
  uint64_t seed = 100;
  for (const auto& p : module.parameters()) {
    const Tensor fresh = random_tensor(p.variable.shape(), seed++, p.variable.dtype(), p.variable.device(), size);
    p.variable.value().copy_from_host(fresh.raw(), fresh.bytes());
    p.variable.changed();
  }
}

std::vector<double> parameter(const nn::Module& module, const std::string& name) {
  for (const auto& p : module.parameters()) {
    if (p.name == name) return numbers_of(p.variable.value());
  }
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

Mixed run_mixer(const models::Mixer& mixer, const Tensor& hidden, const models::SequenceInfo& sequence, const nn::StepContext& context) {
  TapeScope scope;
  for (const auto& p : mixer.parameters()) p.variable.clear_gradient();
  const Variable input = Variable::leaf(hidden);
  const Variable out = mixer.forward(input, sequence, context);
  scope.tape().backward(out, random_tensor(out.shape(), kCotangentSeed, out.dtype(), out.device()));
  Mixed result{numbers_of(out.value()), numbers_of(input.gradient()), {}};
  for (const auto& p : mixer.parameters()) result.gradients.push_back(numbers_of(p.variable.gradient()));
  return result;
}

void expect_gradients(const models::Mixer& mixer, const Tensor& hidden, const models::SequenceInfo& sequence, const nn::StepContext& context) {
  const Mixed analytic = run_mixer(mixer, hidden, sequence, context);
  const std::vector<double> weights = random_values(static_cast<int64_t>(analytic.out.size()), kCotangentSeed);
  const auto check_tensor = [&](const Tensor& tensor, const std::vector<double>& gradient, const std::string& name) {
    double* values = tensor.data<double>();
    constexpr double kStep = 1e-6;
    for (int64_t i = 0; i < tensor.elements(); i += 1 + tensor.elements() / 11) {
      const double original = values[i];
      values[i] = original + kStep;
      const double above = weighted_sum(mixer, hidden, sequence, context, weights);
      values[i] = original - kStep;
      const double below = weighted_sum(mixer, hidden, sequence, context, weights);
      values[i] = original;
      const double numeric = (above - below) / (2 * kStep), found = gradient[static_cast<size_t>(i)];
      EXPECT_NEAR(found, numeric, 1e-6 * std::max({1.0, std::abs(found), std::abs(numeric)})) << name << " element " << i;
    }
  };
  check_tensor(hidden, analytic.hidden_gradient, "hidden");
  const auto parameters = mixer.parameters();
  for (size_t k = 0; k < parameters.size(); ++k) check_tensor(parameters[k].variable.value(), analytic.gradients[k], parameters[k].name);
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double size = 1, error = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    size = std::max(size, std::abs(b[i]));
    error = std::max(error, std::isfinite(a[i]) ? std::abs(a[i] - b[i]) : INFINITY);
  }
  return error / size;
}

std::vector<double> project(const std::vector<double>& x, const std::vector<double>& weight, const std::vector<double>& bias, int64_t in) {
  const int64_t rows = static_cast<int64_t>(x.size()) / in, out = static_cast<int64_t>(weight.size()) / in;
  std::vector<double> y(static_cast<size_t>(rows * out));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = bias.empty() ? 0 : bias[static_cast<size_t>(o)];
      for (int64_t c = 0; c < in; ++c) sum += x[static_cast<size_t>(r * in + c)] * weight[static_cast<size_t>(o * in + c)];
      y[static_cast<size_t>(r * out + o)] = sum;
    }
  }
  return y;
}

std::vector<double> dense_row(const double* query, const HeadRows& keys, int64_t key_offset, const HeadRows& values, int64_t value_offset, int64_t key_count, int64_t d,
                              const std::function<double(int64_t)>& times) {
  std::vector<double> weight(static_cast<size_t>(key_count), 0), out(static_cast<size_t>(d), 0);
  double total = 0, peak = -INFINITY;
  const auto score = [&](int64_t j) {
    double s = 0;
    for (int64_t c = 0; c < d; ++c) s += query[c] * keys.at(j, key_offset)[c];
    return s / std::sqrt(static_cast<double>(d));
  };
  for (int64_t j = 0; j < key_count; ++j) {
    if (times(j) > 0) peak = std::max(peak, score(j));
  }
  for (int64_t j = 0; j < key_count; ++j) {
    if (times(j) > 0) total += weight[static_cast<size_t>(j)] = times(j) * std::exp(score(j) - peak);
  }
  if (total == 0) return out;
  for (int64_t j = 0; j < key_count; ++j) {
    for (int64_t c = 0; c < d; ++c) out[static_cast<size_t>(c)] += weight[static_cast<size_t>(j)] / total * values.at(j, value_offset)[c];
  }
  return out;
}

}  // namespace longhaul::testing
