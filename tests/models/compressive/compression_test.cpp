// Every function of compression against plain loops, and what the most used rows are.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "framework/autograd/tape.h"
#include "tests/models/compressive/support.h"

namespace longhaul::models {
namespace {

constexpr int64_t kBatch = 2, kWidth = 5, kRate = 3, kRows = 12, kSlots = kRows / kRate;

Tensor some_rows(Device device, DType dtype) {
  const Tensor wide = Tensor::empty({kBatch, kRows, kWidth}, DType::kF64, device), out = Tensor::empty({kBatch, kRows, kWidth}, dtype, device);
  const RandomStream stream{.seed = 4, .step = 0, .layer = 0, .purpose = RandomPurpose::kInit};
  for (int64_t n = 0; n < wide.elements(); ++n) wide.data<double>()[n] = stream.normal(static_cast<uint64_t>(n));
  ops::table(out).elementwise.copy(wide, out);
  return out;
}

struct Made {
  std::unique_ptr<Compression> compression;
  std::map<std::string, std::vector<double>> parameters;
};

Made made(CompressionFunction function, Device device, DType dtype, CompressionLoss loss = CompressionLoss::kNone) {
  CompressiveOptions options;
  options.body.dim = kWidth, options.rate = kRate, options.body.init_std = 0.5;
  options.compression = {.function = function, .loss = loss, .weight = 1};
  nn::Initializer init(9, device, dtype);
  Made out{std::make_unique<Compression>(options, init), {}};
  for (const auto& p : out.compression->parameters()) out.parameters[p.name] = numbers_of(p.variable.value());
  return out;
}

/// Slot s, channel d of batch row b by the formulas.
double by_formula(CompressionFunction function, const Made& made, const std::vector<double>& rows, int64_t b, int64_t s, int64_t d) {
  const auto at = [&](int64_t row, int64_t channel) { return row < 0 ? 0.0 : rows[static_cast<size_t>((b * kRows + row) * kWidth + channel)]; };
  double out = 0;
  switch (function) {
    case CompressionFunction::kMeanPool:
      for (int64_t t = 0; t < kRate; ++t) out += at(s * kRate + t, d) / kRate;
      return out;
    case CompressionFunction::kMaxPool:
      out = -std::numeric_limits<double>::infinity();
      for (int64_t t = 0; t < kRate; ++t) out = std::max(out, at(s * kRate + t, d));
      return out;
    default: break;
  }
  out = made.parameters.at("convolution.bias")[static_cast<size_t>(d)];
  for (int64_t t = 0; t < kRate; ++t) {
    const int64_t row = s * kRate + (function == CompressionFunction::kConvolution ? t : kRate - 1 - 2 * t);
    for (int64_t c = 0; c < kWidth; ++c) out += made.parameters.at("convolution.weight")[static_cast<size_t>((d * kRate + t) * kWidth + c)] * at(row, c);
  }
  return out;
}

TEST(Compression, EveryFunctionIsItsFormula) {
  for (const auto function : {CompressionFunction::kMeanPool, CompressionFunction::kMaxPool, CompressionFunction::kConvolution, CompressionFunction::kDilatedConvolution}) {
    for (const auto& [device, dtype, compute, limit] : {std::tuple{Device::reference(), DType::kF64, DType::kF64, 1e-14}, {Device::cpu(), DType::kF32, DType::kF32, 2e-6}, {Device::cpu(), DType::kF32, DType::kBF16, 6e-2}}) {
      const Made one = made(function, device, dtype);
      const Tensor rows = some_rows(device, compute);
      const auto slots = numbers_of((*one.compression)(Variable(rows), {}).value());
      ASSERT_EQ(slots.size(), static_cast<size_t>(kBatch * kSlots * kWidth));
      const auto numbers = numbers_of(rows);
      std::vector<double> expected;
      for (int64_t b = 0; b < kBatch; ++b) {
        for (int64_t s = 0; s < kSlots; ++s) {
          for (int64_t d = 0; d < kWidth; ++d) expected.push_back(by_formula(function, one, numbers, b, s, d));
        }
      }
      EXPECT_LT(largest_difference(slots, expected), limit) << static_cast<int>(function);
    }
  }
}

TEST(Compression, AConvolutionBeginsNearTheMean) {
  CompressiveOptions options;
  options.body.dim = kWidth, options.rate = kRate;
  nn::Initializer init(9, Device::reference(), DType::kF64);
  const Compression compression(options, init);
  const Made mean = made(CompressionFunction::kMeanPool, Device::reference(), DType::kF64);
  const Tensor rows = some_rows(Device::reference(), DType::kF64);
  const auto near = numbers_of(compression(Variable(rows), {}).value()), exact = numbers_of((*mean.compression)(Variable(rows), {}).value());
  EXPECT_LT(largest_difference(near, exact), 0.2);
  EXPECT_GT(largest_difference(near, exact), 1e-4);
}

TEST(Compression, TheOldestRowOfASlotIsTheFirstThatChangesIt) {
  for (const auto function : {CompressionFunction::kMeanPool, CompressionFunction::kConvolution, CompressionFunction::kDilatedConvolution}) {
    const Made one = made(function, Device::reference(), DType::kF64);
    const Tensor rows = some_rows(Device::reference(), DType::kF64);
    const auto before = numbers_of((*one.compression)(Variable(rows), {}).value());
    std::vector<int64_t> oldest(kSlots, -1);
    for (int64_t row = 0; row < kRows; ++row) {
      const Tensor other = copied(rows);
      for (int64_t d = 0; d < kWidth; ++d) other.data<double>()[row * kWidth + d] += 1;
      const auto after = numbers_of((*one.compression)(Variable(other), {}).value());
      for (int64_t s = 0; s < kSlots; ++s) {
        const auto begin = static_cast<size_t>(s * kWidth);
        if (oldest[static_cast<size_t>(s)] < 0 && !std::equal(before.begin() + static_cast<int64_t>(begin), before.begin() + static_cast<int64_t>(begin) + kWidth, after.begin() + static_cast<int64_t>(begin)))
          oldest[static_cast<size_t>(s)] = row;
      }
    }
    for (int64_t s = 0; s < kSlots; ++s) {
      // A gap may leave the row itself out: no row before it may count.
      if (function == CompressionFunction::kDilatedConvolution && s == 0) EXPECT_EQ(one.compression->oldest(0), 0);
      else EXPECT_EQ(one.compression->oldest(s), oldest[static_cast<size_t>(s)]) << s;
    }
  }
}

TEST(Compression, MostUsedKeepsTheLargestSharesInTheirOrder) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor usage = Tensor::of<float>({2, 6}, {0.1f, 0.9f, 0.3f, 0.8f, 0.2f, 0.4f, nan, 0.5f, 0.5f, 0.5f, 0.1f, nan});
  const Tensor kept = most_used(usage, {1, 1, 1, 1, 1, 1}, 3);
  EXPECT_EQ(std::vector<int32_t>(kept.data<int32_t>(), kept.data<int32_t>() + 4), (std::vector<int32_t>{1, 3, 7, 8}));
  // Three steps have seen row 1, one has seen row 5.
  const Tensor shares = most_used(usage.slice(0, 0, 1), {1, 3, 1, 1, 1, 1}, 3);
  EXPECT_EQ(std::vector<int32_t>(shares.data<int32_t>(), shares.data<int32_t>() + 2), (std::vector<int32_t>{3, 5}));
}

TEST(Compression, AutoEncodingTrainsBothHalvesAsFiniteDifferencesSay) {
  for (const auto function : {CompressionFunction::kConvolution, CompressionFunction::kDilatedConvolution}) {
    const Made one = made(function, Device::reference(), DType::kF64, CompressionLoss::kAutoEncoding);
    const Variable rows(some_rows(Device::reference(), DType::kF64));
    const auto loss = [&] { return mean_square(one.compression->decode((*one.compression)(rows, {})), rows); };
    const auto parameters = one.compression->parameters();
    ASSERT_EQ(parameters.size(), 4u);
    {
      TapeScope recording;
      recording.tape().backward(loss(), Tensor::of<double>({1}, {1.0}, Device::reference()));
    }
    for (const auto& p : parameters) {
      double* values = p.variable.value().data<double>();
      for (int64_t i = 0; i < p.variable.value().elements(); ++i) {
        const double before = values[i];
        values[i] = before + 1e-5;
        const double up = loss().value().data<double>()[0];
        values[i] = before - 1e-5;
        const double down = loss().value().data<double>()[0];
        values[i] = before;
        EXPECT_NEAR(p.variable.gradient().data<double>()[i], (up - down) / 2e-5, 1e-8) << p.name << "[" << i << "]";
      }
    }
  }
}

}  // namespace
}  // namespace longhaul::models
