// defines: Mixed, run_mixer, set_parameters, expect_gradients, dense_row and what they need
#pragma once
#include <functional>
#include <vector>

#include "models/common/mixer.h"

namespace longhaul::testing {

/// Normal numbers that depend on the seed and the index only.
std::vector<double> random_values(int64_t count, uint64_t seed, double size = 1);
/// A tensor of those numbers, f64 or f32.
Tensor random_tensor(const Shape& shape, uint64_t seed, DType dtype, Device device, double size = 1);
std::vector<double> numbers_of(const Tensor& tensor);

/// Fills every parameter with numbers of its own, of about `size`.
void set_parameters(const nn::Module& module, double size);
/// A parameter by its name, as f64 numbers.
std::vector<double> parameter(const nn::Module& module, const std::string& name);

/// Result of a mixer, and the gradients that a fixed pseudo-random cotangent sends to its input and parameters.
struct Mixed {
  std::vector<double> out;
  std::vector<double> hidden_gradient;
  std::vector<std::vector<double>> gradients;  // in the order of parameters()
};
Mixed run_mixer(const models::Mixer& mixer, const Tensor& hidden, const models::SequenceInfo& sequence, const nn::StepContext& context);

/// Finite differences of some elements of the input and of every parameter; the mixer is f64 on the reference device.
void expect_gradients(const models::Mixer& mixer, const Tensor& hidden, const models::SequenceInfo& sequence, const nn::StepContext& context);

/// Largest |a - b| over max(1, largest |b|).
double distance(const std::vector<double>& a, const std::vector<double>& b);

/// x [rows, in] W^T + b, W [out, in].
std::vector<double> project(const std::vector<double>& x, const std::vector<double>& weight, const std::vector<double>& bias, int64_t in);

/// Rows of a projection: row i begins at data + i stride.
struct HeadRows {
  const double* data;
  int64_t stride;
  const double* at(int64_t row, int64_t offset) const { return data + row * stride + offset; }
};

/// softmax(q_i . k_j / sqrt(d) + ln m(i, j)) v_j in plain loops for one query row of one head; zero where nothing is visible.
std::vector<double> dense_row(const double* query, const HeadRows& keys, int64_t key_offset, const HeadRows& values, int64_t value_offset, int64_t key_count, int64_t d,
                              const std::function<double(int64_t)>& times);

}  // namespace longhaul::testing
