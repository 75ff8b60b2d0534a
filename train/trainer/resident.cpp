#include "train/trainer/resident.h"

#include <sys/resource.h>

namespace longhaul::train {

int64_t peak_resident_bytes() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? int64_t{usage.ru_maxrss} * 1024 : 0;
}

}  // namespace longhaul::train
