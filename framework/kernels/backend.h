// defines: Backend, backend, backends
#pragma once
#include <vector>

#include "framework/kernels/attention.h"
#include "framework/kernels/cross_entropy.h"
#include "framework/kernels/elementwise.h"
#include "framework/kernels/lsh.h"
#include "framework/kernels/matmul.h"
#include "framework/kernels/merge.h"
#include "framework/kernels/norm.h"
#include "framework/kernels/optimizer.h"
#include "framework/kernels/reduce.h"
#include "framework/kernels/rotary.h"
#include "framework/kernels/rows.h"
#include "framework/kernels/softmax.h"
#include "framework/tensor/device.h"

namespace longhaul::kernels {

/// Everything a device can compute. A backend exports one function `const Backend* longhaul_backend_<name>()` with C linkage
/// and fills the entries it has; an entry it leaves alone is refused with a message that names the kernel and the device.
struct Backend {
  const char* name = "";
  /// Floating-point operations per second of the device when nothing waits for memory, for products of a type; null: unknown.
  double (*peak)(DType) = nullptr;
  AttentionKernels attention;
  MergeKernels merge;
  LshKernels lsh;
  MatmulKernels matmul;
  ElementwiseKernels elementwise;
  NormKernels norm;
  SoftmaxKernels softmax;
  CrossEntropyKernels cross_entropy;
  RowKernels rows;
  RotaryKernels rotary;
  ReduceKernels reduce;
  OptimizerKernels optimizer;

  /// Calls f with every Kernel entry.
  template <typename F>
  void each(F f) {
    attention.each(f), merge.each(f), lsh.each(f), matmul.each(f), elementwise.each(f), norm.each(f), softmax.each(f), cross_entropy.each(f), rows.each(f), rotary.each(f), reduce.each(f), optimizer.each(f);
  }
};

/// The table of a device; throws FailureError naming the devices that are built in when it is absent.
const Backend& backend(Device device);
/// All tables that are built in, reference first.
const std::vector<const Backend*>& backends();
/// True when the kernel `name` of `backend` takes `dtype`.
bool supports(const Backend& backend, std::string_view name, DType dtype);

}  // namespace longhaul::kernels
