#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "framework/base/error.h"
#include "tests/framework/kernels/support.h"

namespace longhaul::testing {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Rows, GatherEqualsReferenceAndClearsMissingRows) {
  for (const DType from : {DType::kF32, DType::kBF16, DType::kI32}) {
    for (const DType to : {DType::kF32, DType::kBF16, DType::kI32}) {
      const Tensor table =
          from == DType::kI32 ? random_indices(50 * 33, 0, 100, 3).reshape({50, 33}) : random({50, 33}, from, 1, 5);
      const Tensor index = random_indices(300, -1, 50, 2), y = random({300, 33}, DType::kF32, 4);
      const Tensor out = as(y, to), expected = as(out, to);
      reference().rows.gather(table, index, expected);
      cpu().rows.gather(table, index, out);
      expect_same_bits(out, expected);
    }
  }
}

TEST(Rows, ScatterAddsInTheOrderOfTheRows) {
  for_each_isa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const auto& [rows, width, count] : {std::tuple{1, 1, 1}, {7, 300, 1000}, {1000, 17, 400}, {5, 8, 0}}) {
        const Tensor dy = random({count, width}, dtype, 1), index = random_indices(count, -1, rows, 2);
        const Tensor dtable = random({rows, width}, DType::kF32, 3), expected = as(dtable, DType::kF32);
        const Tensor order = zeros({count}, DType::kI32), starts = zeros({rows + 1}, DType::kI32);
        reference().rows.scatter_add(as(dy, DType::kF32), index, expected, absent(), absent());
        cpu().rows.scatter_add(dy, index, dtable, order, starts);
        expect_same_bits(dtable, expected);
      }
    }
  });
}

TEST(Rows, ReplaceWritesChosenRowsOnly) {
  const Tensor x = random({3, 20}, DType::kF32, 1), table = random({6, 20}, DType::kF32, 2),
               expected = as(table, DType::kF32);
  const Tensor index = Tensor::of<int32_t>({3}, {4, -1, 0});
  reference().rows.replace(x, index, expected);
  cpu().rows.replace(x, index, table);
  expect_same_bits(table, expected);
}

TEST(Rows, AnIndexOutsideTheTableFails) {
  const Tensor table = zeros({4, 2}, DType::kF32), y = zeros({1, 2}, DType::kF32), order = zeros({1}, DType::kI32),
               starts = zeros({5}, DType::kI32);
  for (const int32_t wrong : {-2, 4}) {
    const Tensor index = Tensor::of<int32_t>({1}, {wrong});
    for (const kernels::Backend* device : {&cpu(), &reference()}) {
      EXPECT_THROW(device->rows.gather(table, index, y), FailureError);
      EXPECT_THROW(device->rows.scatter_add(y, index, table, order, starts), FailureError);
      EXPECT_THROW(device->rows.replace(y, index, table), FailureError);
    }
  }
}

TEST(Reduce, SumsEqualReference) {
  for_each_isa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 17}, {1000, 5}, {70, 513}, {2000, 64}, {0, 8}, {8, 0}}) {
        const Tensor x = random({rows, columns}, dtype, 1), y = random({columns}, DType::kF32, 2),
                     line = zeros({rows}, DType::kF32);
        const Tensor expected_y = as(y), expected_line = as(line), squares = zeros({1}, DType::kF64),
                     sum = zeros({1}, DType::kF64);
        const Tensor expected_squares = zeros({1}, DType::kF64), expected_sum = zeros({1}, DType::kF64);
        for (const bool accumulate : {true, false}) {
          reference().reduce.column_sum(as(x), expected_y, accumulate);
          cpu().reduce.column_sum(x, y, accumulate);
          expect_close(y, expected_y, 3e-5, 1e-6);  // f32 sums of 2000 numbers of size 1
        }
        reference().reduce.row_sum(as(x), expected_line);
        cpu().reduce.row_sum(x, line);
        expect_close(line, expected_line, 1e-5, 1e-6);
        reference().reduce.sum_of_squares(as(x), expected_squares);
        reference().reduce.sum(as(x), expected_sum);
        cpu().reduce.sum_of_squares(x, squares);
        cpu().reduce.sum(x, sum);
        expect_close(squares, expected_squares, 1e-9, 1e-12);
        expect_close(sum, expected_sum, 1e-9, 1e-12);
      }
    }
  });
}

TEST(Reduce, TheFirstLargestOfEachRowIsFound) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 17}, {1000, 5}, {70, 513}, {0, 8}}) {
      const Tensor x = random({rows, columns}, dtype, 1), found = zeros({rows}, DType::kI32), expected = zeros({rows}, DType::kI32);
      cpu().reduce.arg_max(x, found);
      reference().reduce.arg_max(as(x), expected);
      for (int64_t r = 0; r < rows; ++r) EXPECT_EQ(found.data<int32_t>()[r], expected.data<int32_t>()[r]) << "row " << r;
    }
  }
  const Tensor ties = Tensor::of<float>({2, 4}, {1, 3, 3, 2, 5, 5, 5, 5}), found = zeros({2}, DType::kI32);
  cpu().reduce.arg_max(ties, found);
  EXPECT_EQ(found.data<int32_t>()[0], 1);
  EXPECT_EQ(found.data<int32_t>()[1], 0);
}

TEST(Reduce, NanInfinityAndLargeValuesReachTheResult) {
  for_each_isa([] {
    for (const int64_t place : {0, 15, 30000, 40002}) {
      for (const float bad : {kNan, std::numeric_limits<float>::infinity(), 1e30f}) {
        const Tensor x = random({40003}, DType::kF32, 1), y = zeros({1}, DType::kF64);
        x.data<float>()[place] = bad;
        cpu().reduce.sum_of_squares(x, y);
        const double got = values(y)[0];
        if (bad == 1e30f)
          EXPECT_NEAR(got / 1e60, 1, 1e-6);
        else
          EXPECT_FALSE(std::isfinite(got));
      }
    }
  });
}

TEST(Rotary, EqualsReferenceAndItsInverseUndoesIt) {
  for_each_isa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const int64_t width : {2, 6, 34, 64, 128}) {
        const Tensor wide = random({2, 9, 3, width + 10}, dtype, 1), x = wide.slice(3, 0, width);
        for (const bool shared : {true, false}) {
          const Tensor position =
              random_indices(shared ? 9 : 18, 0, 1 << 20, 2).reshape(shared ? Shape{9} : Shape{2, 9});
          const Tensor y = zeros({2, 9, 3, width}, dtype), expected = as(y);
          reference().rotary.rotate(as(x), position, expected, {});
          cpu().rotary.rotate(x, position, y, {});
          expect_close(y, expected, 1e-6, dtype == DType::kF32 ? 1e-6 : kBf16);
          if (dtype == DType::kBF16) continue;
          cpu().rotary.rotate(y, position, y, {.inverse = true});
          expect_close(y, as(x), 1e-6, 1e-6);
        }
      }
    }
  });
}

}  // namespace
}  // namespace longhaul::testing
