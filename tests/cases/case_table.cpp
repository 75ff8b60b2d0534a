#include "tests/cases/case_table.h"

#include <cmath>
#include <limits>

#include "framework/base/error.h"
#include "framework/tensor/random.h"

namespace longhaul::testing {
namespace {

std::vector<OpCase>& table() {
  static std::vector<OpCase> all;
  return all;
}

float value_of(Fill fill, const RandomStream& stream, int64_t element, int64_t width) {
  const double normal = stream.normal(static_cast<uint64_t>(element));
  switch (fill) {
    case Fill::kPositive: return static_cast<float>(0.25 + std::abs(normal));
    case Fill::kConstant: return 0.75f;
    case Fill::kHuge: return static_cast<float>(1e4 * normal);
    case Fill::kFirstRowMinusInfinity:
      if (element < width) return -std::numeric_limits<float>::infinity();
      break;
    case Fill::kNormal: break;
  }
  return static_cast<float>(normal);
}

}  // namespace

const std::vector<OpCase>& cases() { return table(); }

bool add_cases(std::vector<OpCase> list) {
  for (OpCase& entry : list) table().push_back(std::move(entry));
  return true;
}

Tensor make_input(const Input& input, uint32_t k, DType requested, Device device) {
  const DType dtype = input.parameter && requested == DType::kBF16 ? DType::kF32 : requested;
  const Tensor out = Tensor::empty(input.shape, dtype, device);
  if (device.is_meta()) return out;
  const RandomStream stream{.seed = 7, .step = 0, .layer = k, .purpose = RandomPurpose::kTest};
  const int64_t width = input.shape.rank() > 0 ? input.shape[-1] : 1;
  for (int64_t i = 0; i < out.elements(); ++i) {
    const bfloat16 rounded(value_of(input.fill, stream, i, width));
    const float value = static_cast<float>(rounded);
    if (dtype == DType::kF64) out.data<double>()[i] = value;
    else if (dtype == DType::kF32) out.data<float>()[i] = value;
    else if (dtype == DType::kBF16) out.data<bfloat16>()[i] = rounded;
    else fail("[cases] inputs are made as f64, f32 or bf16, asked for {}", dtype);
  }
  return out;
}

}  // namespace longhaul::testing
