#include "framework/kernels/backend.h"

/// Shapes and bytes only: every kernel exists, takes every type and computes nothing.
extern "C" const longhaul::kernels::Backend* longhaul_backend_meta() {
  static const longhaul::kernels::Backend table = [] {
    longhaul::kernels::Backend made;
    made.name = "meta";
    made.each([](auto& kernel) {
      kernel.set_backend("meta");
      kernel.set_nothing();
    });
    return made;
  }();
  return &table;
}
