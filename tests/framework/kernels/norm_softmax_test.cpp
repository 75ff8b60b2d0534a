#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "framework/base/error.h"
#include "tests/framework/kernels/support.h"

namespace longhaul::testing {
namespace {

using kernels::CrossEntropyOptions;
using kernels::NormOptions;

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

struct NormCase {
  int64_t rows, width;
  DType stream, branch, result;
  bool with_delta, with_beta, rms;
};

void check_norm(const NormCase& c) {
  SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.width << " " << name_of(c.stream) << " "
                                    << name_of(c.branch) << " rms " << c.rms);
  const NormOptions options{.rms = c.rms};
  const Shape shape{c.rows, c.width}, line{c.width}, column{c.rows};
  const bool narrow = c.stream == DType::kBF16;
  const Tensor x = random(shape, c.stream, 1, 2), delta = random(shape, c.branch, 2),
               gamma = random(line, DType::kF32, 3), beta = random(line, DType::kF32, 4);
  const auto optional = [](bool present, const Tensor& t) { return present ? t.view() : absent(); };
  const Tensor sum = zeros(shape, c.stream), y = zeros(shape, c.result), mean = zeros(column, DType::kF32),
               rstd = zeros(column, DType::kF32);
  cpu().norm.forward(x, optional(c.with_delta, delta), gamma, optional(c.with_beta, beta), optional(c.with_delta, sum),
                     y, mean, rstd, options);

  const Tensor sum64 = as(sum), y64 = as(y), mean64 = as(mean), rstd64 = as(rstd), gamma64 = as(gamma),
               beta64 = as(beta);
  const Tensor x64 = as(x);
  if (c.with_delta) {
    reference().elementwise.axpby(as(delta), x64, 1, 1);
    expect_close(sum, x64, 1e-6, narrow ? kBf16 : 1e-6);
  }
  // The rounded sum is what is normalised.
  const Tensor normalised = c.with_delta ? as(sum) : x64;
  reference().norm.forward(normalised, absent(), gamma64, optional(c.with_beta, beta64), absent(), y64, mean64, rstd64,
                           options);
  expect_close(y, y64, 3e-6, c.result == DType::kBF16 ? kBf16 : 3e-6);
  expect_close(rstd, rstd64, 1e-7, 2e-6);
  if (!c.rms) expect_close(mean, mean64, 1e-6, 1e-6);

  const Tensor dy = random(shape, c.result, 5), dsum = random(shape, c.stream, 6);
  const Tensor dx = zeros(shape, c.stream), ddelta = zeros(shape, c.branch), dgamma = random(line, DType::kF32, 7),
               dbeta = random(line, DType::kF32, 8);
  const Tensor dx64 = as(dx), ddelta64 = as(ddelta), dgamma64 = as(dgamma), dbeta64 = as(dbeta), dsum64 = as(dsum);
  reference().norm.backward(as(dy), optional(c.with_delta, dsum64), normalised, gamma64, mean64, rstd64, dx64, ddelta64,
                            dgamma64, optional(c.with_beta, dbeta64), options);
  cpu().norm.backward(dy, optional(c.with_delta, dsum), c.with_delta ? sum : x, gamma, mean, rstd, dx, ddelta, dgamma,
                      optional(c.with_beta, dbeta), options);
  expect_close(dx, dx64, 2e-5, narrow ? kBf16 : 1e-5);
  expect_close(ddelta, ddelta64, 2e-5, c.branch == DType::kBF16 ? kBf16 : 1e-5);
  expect_close(dgamma, dgamma64, 1e-4, 1e-5);
  expect_close(dbeta, dbeta64, 1e-4, 1e-5);
}

TEST(Norm, EqualsReference) {
  for_each_isa([] {
    for (const auto& [rows, width] : {std::pair{1, 8}, {3, 17}, {5, 64}, {300, 100}, {40, 700}}) {
      for (const bool rms : {false, true}) {
        check_norm({rows, width, DType::kF32, DType::kF32, DType::kF32, true, !rms, rms});
        check_norm({rows, width, DType::kF32, DType::kBF16, DType::kBF16, true, !rms, rms});
        check_norm({rows, width, DType::kF32, DType::kBF16, DType::kF32, true, !rms, rms});
        check_norm({rows, width, DType::kF32, DType::kF32, DType::kBF16, false, !rms, rms});
        check_norm({rows, width, DType::kBF16, DType::kBF16, DType::kBF16, true, !rms, rms});
      }
    }
  });
}

TEST(Norm, GradientMayReplaceTheGradientOfTheSum) {
  const Shape shape{40, 70};
  const Tensor x = random(shape, DType::kF32, 1), dy = random(shape, DType::kF32, 2),
               dsum = random(shape, DType::kF32, 3), gamma = random({70}, DType::kF32, 4);
  const Tensor y = zeros(shape, DType::kF32), mean = zeros({40}, DType::kF32), rstd = zeros({40}, DType::kF32),
               dx = zeros(shape, DType::kF32);
  cpu().norm.forward(x, absent(), gamma, absent(), absent(), y, mean, rstd, NormOptions{});
  cpu().norm.backward(dy, dsum, x, gamma, mean, rstd, dx, absent(), absent(), absent(), NormOptions{});
  cpu().norm.backward(dy, dsum, x, gamma, mean, rstd, dsum, absent(), absent(), absent(), NormOptions{});
  expect_same_bits(dsum, dx);
}

TEST(Norm, ANanStaysInItsRow) {
  for_each_isa([] {
    const Tensor x = random({3, 40}, DType::kF32, 1), gamma = random({40}, DType::kF32, 2),
                 y = zeros({3, 40}, DType::kF32), mean = zeros({3}, DType::kF32), rstd = zeros({3}, DType::kF32);
    x.data<float>()[40 + 7] = kNan;
    cpu().norm.forward(x, absent(), gamma, absent(), absent(), y, mean, rstd, NormOptions{});
    for (int64_t i = 0; i < 120; ++i) EXPECT_EQ(std::isnan(y.data<float>()[i]), i / 40 == 1);
  });
}

TEST(Norm, BitsDoNotDependOnThreads) {
  for (const int64_t rows : {37, 3000}) {
    expect_same_for_threads([&] {
      const Tensor x = random({rows, 96}, DType::kF32, 1), dy = random({rows, 96}, DType::kBF16, 2),
                   gamma = random({96}, DType::kF32, 3);
      const Tensor y = zeros({rows, 96}, DType::kBF16), mean = zeros({rows}, DType::kF32),
                   rstd = zeros({rows}, DType::kF32), dx = zeros({rows, 96}, DType::kF32);
      const Tensor dgamma = zeros({96}, DType::kF32), dbeta = zeros({96}, DType::kF32),
                   columns = zeros({96}, DType::kF32), squares = zeros({1}, DType::kF64);
      cpu().norm.forward(x, absent(), gamma, gamma, absent(), y, mean, rstd, NormOptions{});
      cpu().norm.backward(dy, absent(), x, gamma, mean, rstd, dx, absent(), dgamma, dbeta, NormOptions{});
      cpu().reduce.column_sum(x, columns, false);
      cpu().reduce.sum_of_squares(x, squares);
      const Tensor table = zeros({11, 96}, DType::kF32), order = zeros({rows}, DType::kI32),
                   starts = zeros({12}, DType::kI32);
      cpu().rows.scatter_add(dy, random_indices(rows, -1, 11, 4), table, order, starts);
      return std::vector{y, mean, rstd, dx, dgamma, dbeta, columns, squares, table};
    });
  }
}

Tensor logits_with_corners(int64_t rows, int64_t n, DType dtype) {
  const Tensor x = random({rows, n}, DType::kF32, 1, 4);
  if (rows > 6 && n > 4) {
    float* p = x.data<float>();
    for (int64_t j = 0; j < n; ++j) p[j] = -kInfinity;      // nothing is visible
    for (int64_t j = 0; j < n; ++j) p[n + j] = -kInfinity;  // one entry is
    p[n + n / 2] = 3;
    p[2 * n + n - 1] = kNan;
    for (int64_t j = 0; j < n; ++j) p[3 * n + j] = -kInfinity;  // a NaN among entries that are not visible
    p[3 * n + 1] = kNan;
    for (int64_t j = 0; j < n; ++j) p[4 * n + j] *= 1e4f;
    p[5 * n] = -kInfinity;
  }
  return as(x, dtype);
}

TEST(Softmax, ForwardAndBackwardEqualReference) {
  for_each_isa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const auto& [rows, n] : {std::pair{1, 1}, {9, 5}, {9, 16}, {9, 65}, {200, 300}, {0, 3}}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << n << " " << name_of(dtype));
        const double relative = dtype == DType::kF32 ? 5e-6 : kBf16;
        const Tensor x = logits_with_corners(rows, n, dtype), y = zeros({rows, n}, dtype), expected = as(y);
        reference().softmax.forward(as(x), expected);
        cpu().softmax.forward(x, y);
        expect_close(y, expected, 1e-7, relative);
        const Tensor dy = random({rows, n}, dtype, 2), dx = zeros({rows, n}, dtype), expected_dx = as(dx);
        reference().softmax.backward(as(y), as(dy), expected_dx);
        cpu().softmax.backward(y, dy, dx);
        expect_close(dx, expected_dx, 1e-6, relative);
        reference().softmax.log_forward(as(x), expected);
        cpu().softmax.log_forward(x, y);
        expect_close(y, expected, 2e-6, relative);
        reference().softmax.log_backward(as(y), as(dy), expected_dx);
        cpu().softmax.log_backward(y, dy, dx);
        expect_close(dx, expected_dx, 2e-5, relative);
      }
    }
  });
}

TEST(CrossEntropy, EqualsReference) {
  for_each_isa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const DType gradient : {DType::kF32, DType::kBF16}) {
        for (const float epsilon : {0.0f, 0.1f}) {
          for (const auto& [rows, n] : {std::pair{1, 1}, {30, 5}, {30, 65}, {100, 1000}}) {
            const CrossEntropyOptions options{.label_smoothing = epsilon, .scale = 0.5f};
            const Tensor x = random({rows, n}, dtype, 1, 4), target = random_indices(rows, -1, n, 2);
            const Tensor nll = zeros({rows}, DType::kF32), smoothed = zeros({rows}, DType::kF32),
                         dx = zeros({rows, n}, gradient);
            const Tensor expected_nll = as(nll), expected_smoothed = as(smoothed), expected_dx = as(dx);
            reference().cross_entropy.forward(as(x), target, expected_nll, expected_smoothed, expected_dx, options);
            cpu().cross_entropy.forward(x, target, nll, smoothed, dx, options);
            expect_close(nll, expected_nll, 3e-6, 1e-6);
            expect_close(smoothed, expected_smoothed, 3e-6, 1e-6);
            expect_close(dx, expected_dx, 1e-6, gradient == DType::kF32 ? 5e-6 : kBf16);
          }
        }
      }
    }
  });
}

TEST(CrossEntropy, TheGradientMayReplaceTheLogits) {
  const Tensor x = random({20, 33}, DType::kF32, 1), target = random_indices(20, -1, 33, 2),
               dx = zeros({20, 33}, DType::kF32);
  const Tensor nll = zeros({20}, DType::kF32), again = zeros({20}, DType::kF32);
  cpu().cross_entropy.forward(x, target, nll, absent(), dx, {});
  cpu().cross_entropy.forward(x, target, again, absent(), x, {});
  expect_same_bits(x, dx);
  expect_same_bits(again, nll);
}

TEST(CrossEntropy, NanReachesTheLossAndMaskedEntriesDoNot) {
  for_each_isa([] {
    const Tensor x = random({3, 20}, DType::kF32, 1), target = Tensor::of<int32_t>({3}, {2, 2, 2}),
                 nll = zeros({3}, DType::kF32), dx = zeros({3, 20}, DType::kF32);
    x.data<float>()[9] = kNan;
    x.data<float>()[20 + 9] = -kInfinity;
    cpu().cross_entropy.forward(x, target, nll, absent(), dx, {});
    EXPECT_TRUE(std::isnan(nll.data<float>()[0]));
    EXPECT_TRUE(std::isfinite(nll.data<float>()[1]));
    EXPECT_EQ(dx.data<float>()[20 + 9], 0);
  });
}

TEST(CrossEntropy, ATargetOutsideTheClassesFails) {
  const Tensor x = zeros({1, 4}, DType::kF32), nll = zeros({1}, DType::kF32);
  for (const int32_t wrong : {-2, 4}) {
    for (const kernels::Backend* device : {&cpu(), &reference()}) {
      EXPECT_THROW(device->cross_entropy.forward(x, Tensor::of<int32_t>({1}, {wrong}), nll, absent(), absent(), {}),
                   FailureError);
    }
  }
}

}  // namespace
}  // namespace longhaul::testing
