// defines: peak_resident_bytes
#pragma once
#include <cstdint>

namespace longhaul::train {

/// The most memory this process has held so far, as the system counts it.
int64_t peak_resident_bytes();

}  // namespace longhaul::train
