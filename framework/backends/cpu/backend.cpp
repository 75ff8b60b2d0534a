#include "framework/kernels/backend.h"

#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/peak.h"

extern "C" const longhaul::kernels::Backend* longhaul_backend_cpu() {
  static const longhaul::kernels::Backend table = [] {
    using namespace longhaul::cpu;
    longhaul::kernels::Backend made;
    made.name = "cpu";
    made.peak = peak;
    made.each([](auto& kernel) { kernel.set_backend("cpu"); });
    fill_attention(made.attention);
    fill_merge(made.merge);
    fill_lsh(made.lsh);
    fill_matmul(made.matmul);
    fill_elementwise(made.elementwise);
    fill_norm(made.norm);
    fill_softmax(made.softmax);
    fill_cross_entropy(made.cross_entropy);
    fill_rows(made.rows);
    fill_rotary(made.rotary);
    fill_reduce(made.reduce);
    fill_optimizer(made.optimizer);
    return made;
  }();
  return &table;
}
