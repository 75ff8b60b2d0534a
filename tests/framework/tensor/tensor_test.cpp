#include "framework/tensor/tensor.h"

#include <gtest/gtest.h>

#include "framework/base/error.h"

namespace longhaul {
namespace {

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "";
}

Tensor counted() {
  std::vector<int32_t> values(24);
  for (int i = 0; i < 24; ++i) values[static_cast<size_t>(i)] = i;
  return Tensor::of<int32_t>({2, 3, 4}, values);
}

TEST(Tensors, ViewsShareTheStorage) {
  const Tensor t = counted();
  const Tensor rows = t.reshape({6, -1}).slice(0, 1, 3);
  EXPECT_EQ(rows.shape(), (Shape{2, 4}));
  EXPECT_EQ(rows.data<int32_t>()[0], 4);
  rows.data<int32_t>()[0] = 99;
  EXPECT_EQ(t.data<int32_t>()[4], 99);
  EXPECT_EQ(t.shared_by(), 2);
  const Tensor swapped = t.permute({2, 0, 1});
  EXPECT_EQ(swapped.shape(), (Shape{4, 2, 3}));
  EXPECT_EQ(swapped.strides()[0], 1);
  EXPECT_FALSE(swapped.contiguous());
  EXPECT_TRUE(t.slice(0, 1, 1).elements() == 0);
}

TEST(Tensors, EveryTypeCanBeMade) {
  for (const DType dtype :
       {DType::kF32, DType::kBF16, DType::kF16, DType::kF64, DType::kI32, DType::kI64, DType::kU8}) {
    const Tensor t = Tensor::zeros({3, 5}, dtype, Device::cpu());
    EXPECT_EQ(t.bytes(), 15 * static_cast<int64_t>(size_of(dtype)));
    for (int64_t i = 0; i < t.bytes(); ++i) EXPECT_EQ(static_cast<const char*>(t.raw())[i], 0);
  }
}

TEST(Tensors, MisuseNamesShapesAndAxes) {
  const Tensor t = counted();
  EXPECT_EQ(message_of([&] { t.slice(1, 2, 5); }), "[slice] rows 2..5 are out of range for axis 1 of shape [2, 3, 4]");
  EXPECT_EQ(message_of([&] { t.slice(3, 0, 1); }), "[slice] axis 3 is out of range for shape [2, 3, 4]");
  EXPECT_EQ(message_of([&] {
              t.permute({0, 0, 1});
            }),
            "[permute] axis 0 is out of range or repeated for shape [2, 3, 4]");
  EXPECT_EQ(message_of([&] { t.permute({1, 0, 2}).reshape({24}); }), "[reshape] tensor [3, 2, 4] is a strided view");
  EXPECT_EQ(message_of([&] {
              t.reshape({5, -1});
            }),
            "[reshape] 24 elements of shape [2, 3, 4] do not fill shape [5, 4]");
  EXPECT_EQ(message_of([&] { t.data<float>(); }), "[tensor] elements are i32, asked for f32");
  EXPECT_EQ(message_of([&] { Tensor().raw(); }), "[tensor] an undefined tensor has no data");
  EXPECT_EQ(message_of([&] { Tensor::of<float>({3}, {1.0f}); }), "[tensor] 4 bytes given for a tensor [3] of 12 bytes");
  EXPECT_NE(message_of([&] { t.as_strided({2}, {40}, 5); }), "");
}

TEST(Tensors, MetaTensorsHaveShapesAndNoData) {
  const Tensor t = Tensor::zeros({int64_t{1} << 40, 8}, DType::kF32, Device::meta());
  EXPECT_EQ(t.raw(), nullptr);
  EXPECT_EQ(t.slice(0, 5, 9).shape(), (Shape{4, 8}));
}

}  // namespace
}  // namespace longhaul
