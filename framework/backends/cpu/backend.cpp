#include "framework/kernels/backend.h"

extern "C" const longhaul::kernels::Backend* longhaul_backend_reference();

extern "C" const longhaul::kernels::Backend* longhaul_backend_cpu() {
  static const longhaul::kernels::Backend table = [] {
    longhaul::kernels::Backend made = *longhaul_backend_reference();
    made.name = "cpu";
    made.each([](auto& kernel) { kernel.set_backend("cpu"); });
    return made;
  }();
  return &table;
}
