// The stored cases of tests/reference, by the code that training runs, on both devices.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "framework/checkpoint/safetensors.h"
#include "tests/support/paths.h"
#include "tests/train/temporary_folder.h"
#include "train/parity/runner.h"

namespace longhaul::train {
namespace {

const std::filesystem::path kCases = std::filesystem::path(source_folder()) / "tests" / "reference";

std::vector<FoundCase> all_cases() { return find_cases(kCases); }

std::string printable(const testing::TestParamInfo<FoundCase>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

class StoredCase : public testing::TestWithParam<FoundCase> {
 protected:
  static ParityResult run(const FoundCase& found, Device device) { return run_case(found, device, models::find_reference_loader, ""); }
};

TEST_P(StoredCase, PassesOnTheReference) {
  const ParityResult result = run(GetParam(), Device::reference());
  EXPECT_EQ(result.status, ParityStatus::kPass) << line_of(result);
}

TEST_P(StoredCase, PassesOnTheProcessor) {
  const ParityResult result = run(GetParam(), Device::cpu());
  EXPECT_EQ(result.status, ParityStatus::kPass) << line_of(result);
}

TEST_P(StoredCase, FailsWhenAnExpectedValueIsDamaged) {
  TemporaryFolder folder;
  const auto copy = folder.path() / "damaged";
  std::filesystem::copy(GetParam().folder, copy);
  const checkpoint::SafetensorsReader stored(GetParam().folder / "case.safetensors");
  std::vector<checkpoint::NamedTensor> tensors;
  for (const auto& entry : stored.header().entries) tensors.push_back({entry.name, stored.read(entry)});
  // The first output, the last one and the last gradient: the first value of each.
  std::vector<size_t> chosen;
  const auto choose_last = [&](const char* prefix) {
    for (size_t i = tensors.size(); i-- > 0;) {
      if (tensors[i].name.starts_with(prefix)) return chosen.push_back(i);
    }
  };
  for (size_t i = 0; i < tensors.size() && chosen.empty(); ++i) {
    if (tensors[i].name.starts_with("out.")) chosen.push_back(i);
  }
  choose_last("out.");
  choose_last("grad.");
  for (const size_t at : chosen) {
    std::vector<checkpoint::NamedTensor> damaged = tensors;
    const Tensor& sound = damaged[at].tensor;
    const Tensor broken = Tensor::zeros(sound.shape(), sound.dtype(), Device::cpu());
    std::memcpy(broken.raw(), sound.raw(), static_cast<size_t>(sound.bytes()));
    if (sound.dtype() == DType::kF32) {
      broken.data<float>()[0] += 0.01f;
    } else if (sound.dtype() == DType::kF64) {
      broken.data<double>()[0] += 0.01;
    } else if (sound.dtype() == DType::kI64) {
      broken.data<int64_t>()[0] += 1;
    } else {
      continue;
    }
    damaged[at].tensor = broken;
    std::filesystem::remove(copy / "case.safetensors");
    checkpoint::write_safetensors(copy / "case.safetensors", damaged, {});
    const ParityResult result = run({GetParam().name, copy}, Device::cpu());
    EXPECT_EQ(result.status, ParityStatus::kFail) << damaged[at].name;
    EXPECT_NE(result.reason.find(damaged[at].name), std::string::npos) << result.reason;
  }
}

INSTANTIATE_TEST_SUITE_P(Reference, StoredCase, testing::ValuesIn(all_cases()), printable);

}  // namespace
}  // namespace longhaul::train
