// defines: prepare_device
#pragma once
#include "framework/tensor/device.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// The device a flag names, and the thread count it comes with set for this process; auto is the CPU where no GPU is
/// built in. throws ConfigError naming the devices of this build when it is absent
Device prepare_device(const DeviceOptions& options);

}  // namespace longhaul::cli
