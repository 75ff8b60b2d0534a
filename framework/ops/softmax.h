// defines: softmax, log_softmax
#pragma once
#include "framework/autograd/variable.h"

namespace longhaul::ops {

/// y_j = exp(x_j - m) / sum_k exp(x_k - m), m = max_k x_k, over the last axis; a slice of -inf only gives zeros.
/// Saves y. Gradient: dx_j = y_j (dy_j - sum_k dy_k y_k). Source: Milakov & Gimelshein 2018.
Variable softmax(const Variable& x);

/// log softmax(x) over the last axis. Saves y. Gradient: dx_j = dy_j - exp(y_j) sum_k dy_k.
Variable log_softmax(const Variable& x);

}  // namespace longhaul::ops
