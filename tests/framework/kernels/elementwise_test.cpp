#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/framework/kernels/support.h"

namespace longhaul::testing {
namespace {

using kernels::BinaryOp;
using kernels::DropoutOptions;
using kernels::UnaryOp;

const UnaryOp kUnary[] = {UnaryOp::kGelu,    UnaryOp::kGeluTanh, UnaryOp::kRelu, UnaryOp::kSilu,   UnaryOp::kTanh,
                          UnaryOp::kSigmoid, UnaryOp::kExp,      UnaryOp::kLog,  UnaryOp::kSquare, UnaryOp::kSqrt};
const int64_t kLengths[] = {0, 1, 3, 15, 16, 17, 100, 16384 + 5};

Tensor inputs_of(UnaryOp op, int64_t n, DType dtype, uint64_t seed) {
  const Tensor x = random({n}, dtype, seed, 3);
  const bool positive = op == UnaryOp::kLog || op == UnaryOp::kSqrt;
  if (positive) cpu().elementwise.unary(x, x, UnaryOp::kSquare);
  if (positive)
    cpu().elementwise.axpby(Tensor::of<float>({n}, std::vector<float>(static_cast<size_t>(n), 0.01f)), x, 1, 1);
  return x;
}

TEST(Elementwise, UnaryAndItsGradientEqualReference) {
  for_each_isa([] {
    for (const UnaryOp op : kUnary) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        for (const int64_t n : kLengths) {
          SCOPED_TRACE(::testing::Message() << "op " << static_cast<int>(op) << " " << name_of(dtype) << " n " << n);
          const Tensor x = inputs_of(op, n, dtype, 1), dy = random({n}, dtype, 2), y = zeros({n}, dtype),
                       dx = zeros({n}, dtype);
          const Tensor expected_y = as(y), expected_dx = as(dx);
          reference().elementwise.unary(as(x), expected_y, op);
          reference().elementwise.unary_backward(as(x), as(dy), expected_dx, op);
          cpu().elementwise.unary(x, y, op);
          cpu().elementwise.unary_backward(x, dy, dx, op);
          expect_close(y, expected_y, 2e-7, dtype == DType::kF32 ? 2e-6 : kBf16);
          // Slopes are sums of terms of size 1 that cancel far from 0.
          expect_close(dx, expected_dx, 3e-6, dtype == DType::kF32 ? 3e-6 : kBf16);
        }
      }
    }
  });
}

TEST(Elementwise, GeluIsAccurateOnBothSides) {
  for_each_isa([] {
    std::vector<float> line;
    for (int i = -12000; i <= 12000; ++i) line.push_back(static_cast<float>(i) * 1e-3f);
    const Tensor x = Tensor::of({static_cast<int64_t>(line.size())}, line), y = zeros(x.shape(), DType::kF32),
                 expected = as(y);
    reference().elementwise.unary(as(x), expected, UnaryOp::kGelu);
    cpu().elementwise.unary(x, y, UnaryOp::kGelu);
    expect_close(y, expected, 1e-8, 1e-6);
  });
}

TEST(Elementwise, ExpCoversTheWholeRange) {
  for_each_isa([] {
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor x = Tensor::of<float>({10}, {-inf, -1000, -87.4f, -87.3f, -1e-8f, 0, 88.7f, 88.8f, inf, nan});
    const Tensor y = zeros({10}, DType::kF32);
    cpu().elementwise.unary(x, y, UnaryOp::kExp);
    const std::vector<double> got = values(y);
    EXPECT_EQ(got[0], 0);
    EXPECT_EQ(got[1], 0);
    EXPECT_EQ(got[2], 0);
    EXPECT_NEAR(got[3] / std::exp(static_cast<double>(-87.3f)), 1, 1e-6);
    EXPECT_EQ(got[5], 1);
    EXPECT_NEAR(got[6] / std::exp(static_cast<double>(88.7f)), 1, 1e-6);
    EXPECT_EQ(got[7], inf);
    EXPECT_EQ(got[8], inf);
    EXPECT_TRUE(std::isnan(got[9]));
  });
}

TEST(Elementwise, NanPassesThroughEveryFunction) {
  for_each_isa([] {
    for (const UnaryOp op : kUnary) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        const Tensor x = as(Tensor::of<float>({20}, std::vector<float>(20, std::numeric_limits<float>::quiet_NaN())),
                            dtype),
                     y = zeros({20}, dtype);
        cpu().elementwise.unary(x, y, op);
        for (const double value : values(y)) EXPECT_TRUE(std::isnan(value)) << "op " << static_cast<int>(op);
      }
    }
  });
}

TEST(Elementwise, BinaryRepeatsTheSecondOperand) {
  for_each_isa([] {
    for (const BinaryOp op : {BinaryOp::kAdd, BinaryOp::kSubtract, BinaryOp::kMultiply, BinaryOp::kDivide, BinaryOp::kMaximum}) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        for (const auto& [rows, columns, repeat] : {std::tuple{1, 1, false},
                                                    {5, 33, false},
                                                    {5, 33, true},
                                                    {300, 3, true},
                                                    {40, 1, true},
                                                    {20, 1000, true},
                                                    {0, 4, true}}) {
          const Tensor a = random({rows, columns}, dtype, 1),
                       b = random(repeat ? Shape{columns} : Shape{rows, columns}, dtype, 2);
          if (op == BinaryOp::kDivide) cpu().elementwise.unary(b, b, UnaryOp::kExp);
          const Tensor expected = as(a);
          reference().elementwise.binary(as(a), as(b), expected, op);
          cpu().elementwise.binary(a, b, a, op);
          expect_close(a, expected, 1e-6, dtype == DType::kF32 ? 1e-6 : kBf16);
        }
      }
    }
  });
}

TEST(Elementwise, TheMaximumWithANanIsNan) {
  for_each_isa([] {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Tensor a = Tensor::of<float>({4}, {nan, 1, 2, nan}), b = Tensor::of<float>({4}, {1, nan, 3, nan});
    cpu().elementwise.binary(a, b, a, BinaryOp::kMaximum);
    const std::vector<double> got = values(a);
    EXPECT_TRUE(std::isnan(got[0]) && std::isnan(got[1]) && std::isnan(got[3]));
    EXPECT_EQ(got[2], 3);
  });
}

TEST(Elementwise, AxpbyMixesTypes) {
  for_each_isa([] {
    for (const DType from : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64}) {
      for (const DType to : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64}) {
        for (const auto& [alpha, beta] : {std::pair{1.0f, 0.0f}, {1.0f, 1.0f}, {-0.5f, 0.0f}, {2.0f, 0.25f}}) {
          const Tensor x = random({1003}, from, 1), y = random({1003}, to, 2), expected = as(y);
          reference().elementwise.axpby(as(x), expected, alpha, beta);
          cpu().elementwise.axpby(x, y, alpha, beta);
          expect_close(y, expected, 1e-6, to == DType::kBF16 ? kBf16 : to == DType::kF16 ? 1e-3 : 1e-6);
        }
      }
    }
  });
}

TEST(Elementwise, BetaZeroNeverReads) {
  const Tensor x = random({40}, DType::kF32, 1);
  const Tensor y = Tensor::of<float>({40}, std::vector<float>(40, std::numeric_limits<float>::quiet_NaN()));
  cpu().elementwise.axpby(x, y, 2, 0);
  for (const double value : values(y)) EXPECT_TRUE(std::isfinite(value));
}

TEST(Elementwise, CastsRoundLikeTheScalarType) {
  for_each_isa([] {
    std::vector<float> line;
    for (uint32_t i = 0; i < 4096; ++i)
      line.push_back(std::bit_cast<float>(i * 0x000FFFEFu));  // every exponent, NaN and infinity too
    const Tensor x = Tensor::of({4096}, line), y = zeros({4096}, DType::kBF16);
    cpu().elementwise.axpby(x, y, 1, 0);
    for (size_t i = 0; i < line.size(); ++i) ASSERT_EQ(y.data<bfloat16>()[i].bits, bfloat16(line[i]).bits) << line[i];
  });
}

TEST(Elementwise, CopiesAnyStridesAndTypes) {
  for (const DType from : {DType::kF32, DType::kBF16, DType::kF64, DType::kI32, DType::kU8}) {
    for (const DType to : {DType::kF32, DType::kBF16, DType::kF16, DType::kI64}) {
      const Tensor source = as(random_indices(3 * 40 * 5 * 36, 0, 100, 1), from).reshape({3, 40, 5, 36});
      for (const Tensor& x :
           {source, source.permute({0, 2, 1, 3}), source.permute({3, 1, 0, 2}), source.permute({0, 1, 3, 2}),
            source.slice(3, 3, 33), source.slice(1, 4, 5), source.slice(2, 1, 4).permute({2, 0, 3, 1})}) {
        const Tensor y = zeros(x.shape(), to), expected = as(x, to);
        cpu().elementwise.copy(x, y);
        expect_same_bits(y, expected);
        const Tensor spread = zeros({x.size(3), x.size(0), x.size(1), x.size(2)}, to).permute({1, 2, 3, 0});
        cpu().elementwise.copy(x, spread);
        expect_same_bits(as(spread, to), expected);
      }
    }
  }
  const Tensor scalar = Tensor::of<float>({}, {7}), target = zeros({}, DType::kBF16);
  cpu().elementwise.copy(scalar, target);
  EXPECT_EQ(values(target)[0], 7);
  cpu().elementwise.copy(zeros({0, 3}, DType::kF32), zeros({0, 3}, DType::kF32));
}

TEST(Elementwise, FillsEveryType) {
  for (const DType dtype :
       {DType::kF32, DType::kBF16, DType::kF16, DType::kF64, DType::kI32, DType::kI64, DType::kU8}) {
    const Tensor y = zeros({33}, dtype);
    cpu().elementwise.fill(y, 3);
    for (const double value : values(y)) EXPECT_EQ(value, 3);
  }
}

TEST(Elementwise, DropoutDrawsTheCountersOfTheStream) {
  for_each_isa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const uint64_t first : {uint64_t{0}, uint64_t{1}, uint64_t{7}, uint64_t{64}, (uint64_t{1} << 34) - 37}) {
        const DropoutOptions options{{5, 9, 3, RandomPurpose::kResidualDropout}, 0.3, first};
        const Tensor x = random({40000}, dtype, 1), y = zeros({40000}, dtype), expected = zeros({40000}, dtype);
        reference().elementwise.dropout(x, expected, options);
        cpu().elementwise.dropout(x, y, options);
        expect_same_bits(y, expected);
      }
    }
  });
}

TEST(Elementwise, SwigluAndItsGradientEqualReference) {
  for_each_isa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const auto& [rows, width] : {std::pair{0, 8}, {1, 1}, {7, 33}, {200, 130}}) {
        const Tensor x = random({rows, 2 * width}, dtype, 1, 2), dy = random({rows, width}, dtype, 2);
        const Tensor y = zeros({rows, width}, dtype), dx = zeros({rows, 2 * width}, dtype), expected_y = as(y),
                     expected_dx = as(dx);
        reference().elementwise.swiglu(as(x), expected_y);
        reference().elementwise.swiglu_backward(as(x), as(dy), expected_dx);
        cpu().elementwise.swiglu(x, y);
        cpu().elementwise.swiglu_backward(x, dy, dx);
        expect_close(y, expected_y, 1e-6, dtype == DType::kF32 ? 2e-6 : kBf16);
        expect_close(dx, expected_dx, 2e-6, dtype == DType::kF32 ? 2e-6 : kBf16);
      }
    }
  });
}

}  // namespace
}  // namespace longhaul::testing
