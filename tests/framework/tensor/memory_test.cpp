#include "framework/tensor/memory.h"

#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "framework/tensor/tensor.h"

namespace longhaul {
namespace {

int64_t& of(std::array<int64_t, kMemoryFamilies>& bytes, MemoryFamily family) {
  return bytes[static_cast<size_t>(family)];
}

Tensor meta(int64_t bytes) { return Tensor::empty({bytes}, DType::kU8, Device::meta()); }

TEST(Memory, IsReportedByFamily) {
  const MetaMemoryScope memory;
  const DeviceMemory& device = device_memory(Device::meta());
  Tensor activation = meta(100);  // rounded to 128
  Tensor workspace;
  {
    const MemoryScope scope(MemoryFamily::kWorkspace);
    workspace = meta(64);
    {
      const MemoryScope inner(MemoryFamily::kState);
      const Tensor state = meta(640);
    }
    EXPECT_EQ(MemoryScope::current(), MemoryFamily::kWorkspace);
  }
  MemoryReport report = device.report();
  EXPECT_EQ(of(report.live, MemoryFamily::kActivations), 128);
  EXPECT_EQ(of(report.live, MemoryFamily::kWorkspace), 64);
  EXPECT_EQ(of(report.live, MemoryFamily::kState), 0);
  EXPECT_EQ(of(report.peak, MemoryFamily::kState), 640);
  EXPECT_EQ(of(report.at_peak, MemoryFamily::kState), 640);
  EXPECT_EQ(report.total_live, 192);
  EXPECT_EQ(report.total_peak, 832);
  device_memory(Device::meta()).reset_peak();
  activation = workspace = Tensor();
  report = device.report();
  EXPECT_EQ(report.total_live, 0);
  EXPECT_EQ(report.total_peak, 192);
  EXPECT_EQ(of(report.peak, MemoryFamily::kState), 0);
}

TEST(Memory, FreedBlocksJoinAndServeAgain) {
  const MetaMemoryScope memory;
  const DeviceMemory& device = device_memory(Device::meta());
  Tensor a = meta(64), b = meta(64), c = meta(64);
  EXPECT_EQ(device.report().reserved, 192);
  b = Tensor();
  a = Tensor();
  a = meta(128);  // the two holes are one
  EXPECT_EQ(device.report().reserved, 192);
  EXPECT_EQ(device.report().system_requests, 3);
  a = Tensor();
  a = meta(192);  // no hole is as large: the range grows
  EXPECT_EQ(device.report().reserved, 192 + 192);
}

TEST(Memory, BlocksOfTheHostAreAlignedAndUsable) {
  for (const int64_t bytes : {0, 1, 63, 64, 65, 4097}) {
    const Tensor one = Tensor::zeros({bytes}, DType::kU8, Device::cpu());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(one.raw()) % 64, 0u) << bytes;
    if (bytes > 0) one.data<uint8_t>()[bytes - 1] = 1;
  }
}

TEST(Memory, AnInjectedFailureIsAnErrorAndLeavesTheCountsAlone) {
  DeviceMemory& host = device_memory(Device::cpu());
  const int64_t before = host.report().total_live;
  host.fail_at(1);
  EXPECT_THROW(Tensor::empty({64}, DType::kU8, Device::cpu()), FailureError);
  EXPECT_EQ(host.report().total_live, before);
  EXPECT_NO_THROW(Tensor::empty({64}, DType::kU8, Device::cpu()));
}

TEST(Memory, WhatDoesNotFitAnAddressIsAnErrorAndNothingElse) {
  EXPECT_THROW(Tensor::empty({int64_t{1} << 61, 8}, DType::kF32, Device::cpu()), Error);
  for (const int64_t elements : {int64_t{1} << 60, (int64_t{1} << 61) - 1}) {
    EXPECT_THROW(Tensor::empty({elements}, DType::kF32, Device::cpu()), FailureError);
    EXPECT_THROW(Tensor::empty({elements}, DType::kF32, Device::meta()), FailureError);
  }
  EXPECT_NO_THROW(Tensor::empty({64}, DType::kU8, Device::cpu()));
  EXPECT_NO_THROW(Tensor::empty({64}, DType::kU8, Device::meta()));
}

}  // namespace
}  // namespace longhaul
