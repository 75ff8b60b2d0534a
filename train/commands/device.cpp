#include "train/commands/device.h"

#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/base/units.h"
#include "framework/kernels/backend.h"

namespace longhaul::cli {
namespace {

bool built_in(DeviceKind kind) {
  for (const kernels::Backend* backend : kernels::backends()) {
    if (name_of(kind) == backend->name) return true;
  }
  return false;
}

}  // namespace

Device prepare_device(const DeviceOptions& options) {
  if (options.threads > 0) set_thread_count(options.threads);
  const std::string& name = options.device;
  Device device = Device::cpu();
  if (name == "auto") return built_in(DeviceKind::kCuda) ? Device{DeviceKind::kCuda, 0} : device;
  if (name == "reference") {
    device = Device::reference();
  } else if (name == "cuda" || name.starts_with("cuda:")) {
    const auto index = name == "cuda" ? 0 : units::parse_integer(std::string_view(name).substr(5));
    check<ConfigError>(index && *index >= 0,
                       "[device] \"{}\" is no device; expected auto, cpu, cuda, cuda:K or reference", name);
    device = {DeviceKind::kCuda, static_cast<int>(*index)};
  } else {
    check<ConfigError>(name == "cpu", "[device] \"{}\" is no device; expected auto, cpu, cuda, cuda:K or reference",
                       name);
  }
  check<ConfigError>(built_in(device.kind),
                     "[device] {} is not part of this build\n  hint: longhaul --version lists its devices", name);
  return device;
}

}  // namespace longhaul::cli
