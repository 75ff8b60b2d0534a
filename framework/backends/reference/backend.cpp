#include "framework/kernels/backend.h"

extern "C" const longhaul::kernels::Backend* longhaul_backend_reference() {
  static const longhaul::kernels::Backend table = [] {
    longhaul::kernels::Backend made;
    made.name = "reference";
    made.each([](auto& kernel) { kernel.set_backend("reference"); });
    return made;
  }();
  return &table;
}
