// defines: convert_line
#pragma once
#include "framework/kernels/element_types.h"

namespace longhaul::cpu {

using kernels::converted, kernels::visit_any;

/// y[i * step_y] = x[i * step_x], i < n, between any two types.
void convert_line(DType from, const void* x, int64_t step_x, DType to, void* y, int64_t step_y, int64_t n);

}  // namespace longhaul::cpu
