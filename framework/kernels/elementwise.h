// defines: UnaryOp, BinaryOp, DropoutOptions, ElementwiseKernels
#pragma once
#include "framework/kernels/kernel.h"
#include "framework/tensor/random.h"

namespace longhaul::kernels {

enum class UnaryOp : int {
  kGelu,      // x Phi(x), by the error function (Hendrycks & Gimpel 2016, section 2)
  kGeluTanh,  // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), same source
  kRelu,
  kSilu,  // x sigmoid(x)
  kTanh,
  kSigmoid,
  kExp,
  kLog,
  kSquare,
  kSqrt,
};

enum class BinaryOp : int { kAdd, kSubtract, kMultiply, kDivide, kMaximum };  // kMaximum: NaN where one is

struct DropoutOptions {
  RandomStream stream;
  double probability = 0;
  uint64_t first_element = 0;  // logical index of element 0: global row times the elements of a row
};

/// Element by element over contiguous tensors unless a kernel says otherwise. Computed in f32 for bf16 (f64 for f64).
struct ElementwiseKernels {
  /// y = op(x); y may be x.
  Kernel<const View& /*x*/, const View& /*y*/, UnaryOp> unary{"elementwise.unary"};
  /// dx = op'(x) dy; dx may be dy.
  Kernel<const View& /*x*/, const View& /*dy*/, const View& /*dx*/, UnaryOp> unary_backward{"elementwise.unary_backward"};
  /// c = a op b; b has a's shape, or is repeated along a's leading axes (b's elements divide a's). c may be a.
  Kernel<const View& /*a*/, const View& /*b*/, const View& /*c*/, BinaryOp> binary{"elementwise.binary"};
  /// y = alpha x + beta y, dtypes may differ; beta 0 never reads y. With alpha 1 and beta 0 this is a cast.
  Kernel<const View& /*x*/, const View& /*y*/, double /*alpha*/, double /*beta*/> axpby{"elementwise.axpby"};
  Kernel<const View& /*y*/, double /*value*/> fill{"elementwise.fill"};
  /// y = x between any two strided views of one shape; dtypes may differ.
  Kernel<const View& /*x*/, const View& /*y*/> copy{"elementwise.copy"};
  /// y = x / (1 - probability) where the word of element first_element + i is at least dropout_threshold, else 0. Its own gradient. y may be x.
  Kernel<const View& /*x*/, const View& /*y*/, const DropoutOptions&> dropout{"elementwise.dropout"};
  /// Gated linear unit with SiLU (Shazeer 2020, SwiGLU): y [R, F] = silu(x[:, :F]) x[:, F:], x [R, 2F].
  Kernel<const View& /*x*/, const View& /*y*/> swiglu{"elementwise.swiglu"};
  /// dx [R, 2F] from x [R, 2F] and dy [R, F].
  Kernel<const View& /*x*/, const View& /*dy*/, const View& /*dx*/> swiglu_backward{"elementwise.swiglu_backward"};

  template <typename F>
  void each(F f) {
    f(unary), f(unary_backward), f(binary), f(axpby), f(fill), f(copy), f(dropout), f(swiglu), f(swiglu_backward);
  }
};

}  // namespace longhaul::kernels
