#include "tests/framework/kernels/support.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <cstring>

#include "framework/tensor/random.h"

namespace longhaul::testing {

Tensor as(const Tensor& x, DType dtype) {
  const Tensor out = Tensor::empty(x.shape(), dtype, Device::reference());
  reference().elementwise.copy(x, out);
  return out;
}

Tensor random(const Shape& shape, DType dtype, uint64_t seed, double scale) {
  const RandomStream stream{seed, 0, 0, RandomPurpose::kTest};
  std::vector<double> drawn(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < drawn.size(); ++i)
    drawn[i] = scale * 3.4641016 * (static_cast<double>(stream.uniform(i)) - 0.5);
  return as(Tensor::of(shape, drawn, Device::reference()), dtype);
}

Tensor random_indices(int64_t count, int32_t low, int32_t high, uint64_t seed) {
  const RandomStream stream{seed, 1, 0, RandomPurpose::kTest};
  std::vector<int32_t> drawn(static_cast<size_t>(count));
  for (size_t i = 0; i < drawn.size(); ++i)
    drawn[i] = low + static_cast<int32_t>(stream.word(i) % static_cast<uint32_t>(high - low));
  return Tensor::of({count}, drawn, Device::reference());
}

Tensor zeros(const Shape& shape, DType dtype) { return Tensor::zeros(shape, dtype, Device::cpu()); }

std::vector<double> values(const Tensor& x) {
  const Tensor wide = as(x);
  return {wide.data<double>(), wide.data<double>() + wide.elements()};
}

void expect_close(const Tensor& received, const Tensor& expected, double absolute, double relative) {
  ASSERT_EQ(received.shape(), expected.shape());
  const std::vector<double> got = values(received), want = values(expected);
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) {
      ASSERT_TRUE(std::isnan(got[i])) << "element " << i << " is " << got[i] << ", expected NaN";
    } else if (std::isinf(want[i])) {
      ASSERT_EQ(got[i], want[i]) << "element " << i;
    } else {
      ASSERT_LE(std::abs(got[i] - want[i]), absolute + relative * std::abs(want[i]))
          << "element " << i << ": " << got[i] << ", expected " << want[i];
    }
  }
}

void expect_same_bits(const Tensor& received, const Tensor& expected) {
  ASSERT_EQ(received.shape(), expected.shape());
  ASSERT_EQ(received.dtype(), expected.dtype());
  EXPECT_EQ(std::memcmp(received.raw(), expected.raw(), static_cast<size_t>(received.bytes())), 0);
}

void for_each_isa(const std::function<void()>& f) {
  for (const cpu::Isa level : {cpu::Isa::kPortable, cpu::Isa::kAvx2, cpu::Isa::kAvx512, cpu::Isa::kAvx512Bf16}) {
    if (level > cpu::best_isa()) break;
    cpu::force_isa(level);
    SCOPED_TRACE(std::string(cpu::name_of(level)));
    f();
  }
  cpu::force_isa(cpu::best_isa());
}

void expect_same_for_threads(const std::function<std::vector<Tensor>()>& f) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const std::vector<Tensor> expected = f();
  for (const int threads : {2, 3, 8}) {
    omp_set_num_threads(threads);
    const std::vector<Tensor> received = f();
    for (size_t i = 0; i < expected.size(); ++i) {
      SCOPED_TRACE(::testing::Message() << threads << " threads, result " << i);
      expect_same_bits(received[i], expected[i]);
    }
  }
  omp_set_num_threads(before);
}

}  // namespace longhaul::testing
