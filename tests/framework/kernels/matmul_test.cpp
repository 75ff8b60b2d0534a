#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "framework/base/error.h"
#include "tests/framework/kernels/support.h"

namespace longhaul::testing {
namespace {

using kernels::MatmulOptions;

struct Sizes {
  int64_t batches, m, n, k;
};

Shape shape_of(int64_t batches, int64_t rows, int64_t columns) {
  return batches ? Shape{batches, rows, columns} : Shape{rows, columns};
}

/// Operands of op(a) [m, k] and op(b) [k, n].
struct Operands {
  Tensor a, b, bias, c;
  Operands(const Sizes& s, DType in, DType out, const MatmulOptions& options)
      : a(random(options.transpose_a ? shape_of(s.batches, s.k, s.m) : shape_of(s.batches, s.m, s.k), in, 1)),
        b(random(options.transpose_b ? shape_of(s.batches, s.n, s.k) : shape_of(s.batches, s.k, s.n), in, 2)),
        bias(random({s.n}, DType::kF32, 3)),
        c(random(shape_of(s.batches, s.m, s.n), out, 4)) {}
};

// Sums of k products of numbers of deviation 1 have size sqrt(k); f32 sums lose a few units of 2^-24 of that.
double tolerance(const Sizes& s) { return 2e-6 * (1 + std::sqrt(static_cast<double>(s.k))); }

void check_product(const Sizes& s, DType in, DType out, const MatmulOptions& options, bool bias) {
  SCOPED_TRACE(::testing::Message() << s.batches << " x " << s.m << " x " << s.n << " x " << s.k << " ta "
                                    << options.transpose_a << " tb " << options.transpose_b << " accumulate "
                                    << options.accumulate << " bias " << bias << " alpha " << options.alpha);
  const Operands x(s, in, out, options);
  const Tensor expected = as(x.c);
  reference().matmul.gemm(as(x.a), as(x.b), bias ? as(x.bias).view() : absent(), expected, options);
  for_each_isa([&] {
    const Tensor c = as(x.c, out);
    cpu().matmul.gemm(x.a, x.b, bias ? x.bias.view() : absent(), c, options);
    expect_close(c, expected, tolerance(s), out == DType::kBF16 ? kBf16 : 1e-6);
  });
}

const Sizes kSizes[] = {{0, 1, 1, 1},   {0, 1, 17, 5},     {0, 1, 300, 257}, {0, 3, 65, 100},   {0, 4, 1000, 64},
                        {0, 5, 3, 7},   {0, 33, 65, 129},  {0, 130, 70, 40}, {0, 257, 513, 33}, {3, 20, 30, 40},
                        {2, 2, 48, 70}, {0, 60, 64, 4500}, {0, 7, 1, 4100},  {2, 40, 24, 4096}};

TEST(Matmul, EqualsReferenceForEveryTransposeAndType) {
  for (const Sizes& s : kSizes) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        check_product(s, DType::kF32, DType::kF32, {.transpose_a = ta, .transpose_b = tb}, false);
        check_product(s, DType::kBF16, DType::kF32, {.transpose_a = ta, .transpose_b = tb}, false);
        check_product(s, DType::kBF16, DType::kBF16, {.transpose_a = ta, .transpose_b = tb}, true);
      }
    }
  }
}

TEST(Matmul, AddsToTheOutputScalesAndAddsTheBias) {
  for (const Sizes& s : {Sizes{0, 2, 40, 30}, Sizes{0, 70, 40, 30}, Sizes{0, 24, 24, 5000}, Sizes{2, 9, 33, 20}}) {
    for (const bool bias : {false, true}) {
      check_product(s, DType::kF32, DType::kF32, {.accumulate = true}, bias);
      check_product(s, DType::kF32, DType::kF32, {.alpha = 0.25f}, bias);
      check_product(s, DType::kBF16, DType::kF32, {.transpose_a = true, .accumulate = true, .alpha = -2.0f}, bias);
      check_product(s, DType::kBF16, DType::kBF16, {.transpose_b = true, .accumulate = true}, bias);
    }
  }
}

TEST(Matmul, TakesRowsWithStrides) {
  for_each_isa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const int64_t rows : {3, 50}) {
        const Tensor wide_a = random({rows, 200}, dtype, 1), wide_b = random({90, 100}, dtype, 2),
                     wide_c = zeros({rows, 80}, DType::kF32);
        const Tensor a = wide_a.slice(1, 30, 120), b = wide_b.slice(1, 7, 67), c = wide_c.slice(1, 10, 70);
        const Tensor expected = as(c);
        reference().matmul.gemm(as(a), as(b), absent(), expected, MatmulOptions{});
        cpu().matmul.gemm(a, b, absent(), c, MatmulOptions{});
        expect_close(c, expected, 2e-5, 1e-6);
        const std::vector<double> around = values(wide_c);
        for (int64_t r = 0; r < rows; ++r) {
          for (const int64_t j : {int64_t{0}, int64_t{9}, int64_t{70}, int64_t{79}})
            EXPECT_EQ(around[static_cast<size_t>(r * 80 + j)], 0);
        }
      }
    }
  });
}

TEST(Matmul, AnEmptyInnerSizeLeavesTheBias) {
  const Tensor a = zeros({3, 0}, DType::kF32), b = zeros({0, 2}, DType::kF32), c = random({3, 2}, DType::kF32, 1);
  const Tensor bias = Tensor::of<float>({2}, {1, 2});
  cpu().matmul.gemm(a, b, bias, c, MatmulOptions{});
  EXPECT_EQ(values(c), (std::vector<double>{1, 2, 1, 2, 1, 2}));
  cpu().matmul.gemm(zeros({0, 4}, DType::kF32), zeros({4, 2}, DType::kF32), absent(), zeros({0, 2}, DType::kF32),
                    MatmulOptions{});
}

TEST(Matmul, ANanReachesItsRowOnly) {
  for_each_isa([] {
    for (const int64_t rows : {2, 40}) {
      const Tensor a = random({rows, 64}, DType::kF32, 1), b = random({64, 48}, DType::kF32, 2),
                   c = zeros({rows, 48}, DType::kF32);
      a.data<float>()[64 + 3] = std::numeric_limits<float>::quiet_NaN();
      cpu().matmul.gemm(a, b, absent(), c, MatmulOptions{});
      for (int64_t j = 0; j < 48; ++j) {
        EXPECT_TRUE(std::isnan(c.data<float>()[48 + j]));
        EXPECT_TRUE(std::isfinite(c.data<float>()[j]));
      }
    }
  });
}

TEST(Matmul, BitsDoNotDependOnThreads) {
  for (const Sizes& s : {Sizes{0, 1, 3000, 512}, Sizes{0, 4, 512, 700}, Sizes{0, 700, 600, 64}, Sizes{0, 64, 64, 20000},
                         Sizes{0, 256, 256, 3000}, Sizes{6, 50, 50, 50}}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const bool ta : {false, true}) {
        SCOPED_TRACE(::testing::Message() << s.m << " x " << s.n << " x " << s.k << " " << name_of(dtype));
        const MatmulOptions options{.transpose_a = ta, .transpose_b = !ta, .accumulate = ta};
        const Operands x(s, dtype, DType::kF32, options);
        expect_same_for_threads([&] {
          const Tensor c = as(x.c, DType::kF32);
          cpu().matmul.gemm(x.a, x.b, absent(), c, options);
          return std::vector{c};
        });
      }
    }
  }
}

TEST(Matmul, RefusesMixedOperands) {
  EXPECT_THROW(cpu().matmul.gemm(zeros({8, 8}, DType::kF32), zeros({8, 8}, DType::kBF16), absent(),
                                 zeros({8, 8}, DType::kF32), MatmulOptions{}),
               FailureError);
  EXPECT_THROW(cpu().matmul.gemm(zeros({8, 8}, DType::kI32), zeros({8, 8}, DType::kI32), absent(),
                                 zeros({8, 8}, DType::kI32), MatmulOptions{}),
               FailureError);
}

}  // namespace
}  // namespace longhaul::testing
