#include "framework/tensor/device.h"

namespace longhaul {

std::string_view name_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::kReference: return "reference";
    case DeviceKind::kCpu: return "cpu";
    case DeviceKind::kMeta: return "meta";
    case DeviceKind::kCuda: return "cuda";
  }
  return "unknown";
}

std::string name_of(Device device) {
  std::string name(name_of(device.kind));
  if (device.kind == DeviceKind::kCuda) name += ":" + std::to_string(device.index);
  return name;
}

}  // namespace longhaul
