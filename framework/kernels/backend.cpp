#include "framework/kernels/backend.h"

#include <longhaul_backends.h>  // generated: LONGHAUL_BACKENDS(X) names the backends of this build

#include "framework/base/error.h"

#define DECLARE(name) extern "C" const longhaul::kernels::Backend* longhaul_backend_##name();
LONGHAUL_BACKENDS(DECLARE)
#undef DECLARE

namespace longhaul::kernels {

const std::vector<const Backend*>& backends() {
#define ENTRY(name) longhaul_backend_##name(),
  static const std::vector<const Backend*> all = {LONGHAUL_BACKENDS(ENTRY)};
#undef ENTRY
  return all;
}

const Backend& backend(Device device) {
  static std::array<const Backend*, 4> by_kind = [] {
    std::array<const Backend*, 4> table{};
    for (const Backend* entry : backends()) {
      for (const DeviceKind kind : {DeviceKind::kReference, DeviceKind::kCpu, DeviceKind::kMeta, DeviceKind::kCuda}) {
        if (name_of(kind) == entry->name) table[static_cast<int>(kind)] = entry;
      }
    }
    return table;
  }();
  const Backend* found = by_kind[static_cast<int>(device.kind)];
  if (!found) {
    std::string built;
    for (const Backend* entry : backends()) built += std::string(built.empty() ? "" : ", ") + entry->name;
    fail("[device] {} is not part of this build; it has {}", name_of(device), built);
  }
  return *found;
}

bool supports(const Backend& backend, std::string_view name, DType dtype) {
  bool found = false;
  const_cast<Backend&>(backend).each([&](const auto& kernel) { found = found || (kernel.name() == name && kernel.supports(dtype)); });
  return found;
}

}  // namespace longhaul::kernels
