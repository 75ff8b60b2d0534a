// defines: Device, DeviceKind
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace longhaul {

/// reference: plain loops, the oracle; cpu: the fast kernels; meta: shapes and bytes only; cuda: a GPU.
enum class DeviceKind : uint8_t { kReference, kCpu, kMeta, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
  bool operator==(const Device&) const = default;
  bool is_meta() const { return kind == DeviceKind::kMeta; }
  /// True when a pointer of this device can be read by the host.
  bool is_host() const { return kind == DeviceKind::kReference || kind == DeviceKind::kCpu; }

  static constexpr Device reference() { return {DeviceKind::kReference, 0}; }
  static constexpr Device cpu() { return {DeviceKind::kCpu, 0}; }
  static constexpr Device meta() { return {DeviceKind::kMeta, 0}; }
};

std::string_view name_of(DeviceKind kind);
/// "cpu", "cuda:1"
std::string name_of(Device device);

}  // namespace longhaul
