#include <gtest/gtest.h>

#include <iostream>

#include "tests/framework/kernels/support.h"

namespace longhaul::testing {
namespace {

TEST(SupportTable, TheReferenceTakesF64AndTheCpuF32ForEveryKernel) {
  kernels::Backend oracle = reference(), fast = cpu(), nothing = kernels::backend(Device::meta());
  oracle.each([](const auto& kernel) { EXPECT_TRUE(kernel.supports(DType::kF64)) << kernel.name(); });
  fast.each([](const auto& kernel) { EXPECT_TRUE(kernel.supports(DType::kF32)) << kernel.name(); });
  nothing.each([](const auto& kernel) { EXPECT_TRUE(kernel.supports(DType::kF32)) << kernel.name(); });
}

TEST(SupportTable, IsPrinted) {
  for (const kernels::Backend* entry : kernels::backends()) {
    kernels::Backend table = *entry;
    int count = 0;
    table.each([&](const auto& kernel) {
      std::cout << table.name << "  " << kernel.name() << ": " << kernel.dtypes().text() << "\n";
      ++count;
    });
    EXPECT_GT(count, 25);
  }
}

TEST(SupportTable, NamesAreDistinct) {
  kernels::Backend table = cpu();
  std::vector<std::string> names;
  table.each([&](const auto& kernel) { names.emplace_back(kernel.name()); });
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace longhaul::testing
