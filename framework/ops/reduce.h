// defines: sum, mean
#pragma once
#include "framework/autograd/variable.h"

namespace longhaul::ops {

/// Sum of all elements, [1], in f32 (f64 for f64); added up in f64 by a fixed tree.
Variable sum(const Variable& x);
/// Mean of all elements, [1].
Variable mean(const Variable& x);

}  // namespace longhaul::ops
