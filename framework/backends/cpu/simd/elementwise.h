// defines: leaves of elementwise kernels
#pragma once
#include <cmath>

#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

using kernels::BinaryOp;
using kernels::UnaryOp;

inline constexpr float kRootTwoOverPi = 0.79788456f, kCubic = 0.044715f;

LONGHAUL_INLINE Floats gelu_tanh(Floats x) {
  const Floats inner = kRootTwoOverPi * fma(x * x * x, broadcast(kCubic), x);
  return 0.5f * x * (1.0f + tanh(inner));
}
LONGHAUL_INLINE Floats gelu_tanh_slope(Floats x) {
  const Floats t = tanh(kRootTwoOverPi * fma(x * x * x, broadcast(kCubic), x));
  const Floats inner = kRootTwoOverPi * fma(x * x, broadcast(3 * kCubic), broadcast(1.0f));
  return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
}
LONGHAUL_INLINE Floats gelu_slope(Floats x) {
  const Normal at = normal(x);
  return fma(x * 0.39894228f, at.bell, at.distribution);
}
/// x Phi(x); at an infinity 0 times infinity is avoided by the sign.
LONGHAUL_INLINE Floats gelu(Floats x) {
  const Floats y = x * normal(x).distribution;
  return select(x < -14.0f, Floats{}, y);
}
LONGHAUL_INLINE Floats silu(Floats x) { return x * sigmoid(x); }
LONGHAUL_INLINE Floats silu_slope(Floats x) {
  const Floats s = sigmoid(x);
  return s * fma(x, 1.0f - s, broadcast(1.0f));
}
LONGHAUL_INLINE Floats logarithm(Floats x) {
  Floats y;
  for (int i = 0; i < kLanes; ++i) y[i] = __builtin_logf(x[i]);
  return y;
}

template <typename T>
LONGHAUL_LEAF void unary(UnaryOp op, const void* x_, void* y_, int64_t n) {
  const T* x = in<T>(x_);
  T* y = out<T>(y_);
  switch (op) {
    case UnaryOp::kGelu:
      return map(x, y, n, [](Floats v) { return gelu(v); });
    case UnaryOp::kGeluTanh:
      return map(x, y, n, [](Floats v) { return gelu_tanh(v); });
    case UnaryOp::kRelu:
      return map(x, y, n, [](Floats v) { return select(v < 0.0f, Floats{}, v); });
    case UnaryOp::kSilu:
      return map(x, y, n, [](Floats v) { return silu(v); });
    case UnaryOp::kTanh:
      return map(x, y, n, [](Floats v) { return tanh(v); });
    case UnaryOp::kSigmoid:
      return map(x, y, n, [](Floats v) { return sigmoid(v); });
    case UnaryOp::kExp:
      return map(x, y, n, [](Floats v) { return exp(v); });
    case UnaryOp::kLog:
      return map(x, y, n, [](Floats v) { return logarithm(v); });
    case UnaryOp::kSquare:
      return map(x, y, n, [](Floats v) { return v * v; });
    case UnaryOp::kSqrt:
      return map(x, y, n, [](Floats v) { return sqrt(v); });
  }
}

template <typename T>
LONGHAUL_LEAF void unary_backward(UnaryOp op, const void* x_, const void* dy_, void* dx_, int64_t n) {
  const T *x = in<T>(x_), *dy = in<T>(dy_);
  T* dx = out<T>(dx_);
  switch (op) {
    case UnaryOp::kGelu:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return gelu_slope(v) * g; });
    case UnaryOp::kGeluTanh:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return gelu_tanh_slope(v) * g; });
    case UnaryOp::kRelu:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return select(v <= 0.0f, Floats{}, broadcast(1.0f)) * g; });
    case UnaryOp::kSilu:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return silu_slope(v) * g; });
    case UnaryOp::kTanh:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return (1.0f - tanh(v) * tanh(v)) * g; });
    case UnaryOp::kSigmoid:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return sigmoid(v) * (1.0f - sigmoid(v)) * g; });
    case UnaryOp::kExp:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return exp(v) * g; });
    case UnaryOp::kLog:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return g / v; });
    case UnaryOp::kSquare:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return 2.0f * v * g; });
    case UnaryOp::kSqrt:
      return map(x, dy, dx, n, [](Floats v, Floats g) { return 0.5f * g / sqrt(v); });
  }
}

template <typename T>
LONGHAUL_LEAF void binary(BinaryOp op, const void* a_, const void* b_, void* c_, int64_t n) {
  const T *a = in<T>(a_), *b = in<T>(b_);
  T* c = out<T>(c_);
  switch (op) {
    case BinaryOp::kAdd:
      return map(a, b, c, n, [](Floats x, Floats y) { return x + y; });
    case BinaryOp::kSubtract:
      return map(a, b, c, n, [](Floats x, Floats y) { return x - y; });
    case BinaryOp::kMultiply:
      return map(a, b, c, n, [](Floats x, Floats y) { return x * y; });
    case BinaryOp::kDivide:
      return map(a, b, c, n, [](Floats x, Floats y) { return x / y; });
    case BinaryOp::kMaximum:
      return map(a, b, c, n, [](Floats x, Floats y) { return select(x < y, y, select(y != y, y, x)); });
  }
}

template <typename X, typename Y>
LONGHAUL_LEAF void axpby(const void* x_, void* y_, float alpha, float beta, int64_t n) {
  const X* x = in<X>(x_);
  Y* y = out<Y>(y_);
  if (beta == 0 && alpha == 1) return map(x, y, n, [](Floats v) { return v; });
  if (beta == 0) return map(x, y, n, [=](Floats v) { return alpha * v; });
  if (beta == 1 && alpha == 1) return map(x, y, y, n, [](Floats v, Floats w) { return v + w; });
  map(x, y, y, n, [=](Floats v, Floats w) { return fma(broadcast(alpha), v, beta * w); });
}

template <typename T>
LONGHAUL_LEAF void swiglu(const void* x_, void* y_, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* x = in<T>(x_) + r * 2 * width;
    map(x, x + width, out<T>(y_) + r * width, width, [](Floats gate, Floats value) { return silu(gate) * value; });
  }
}

template <typename T>
LONGHAUL_LEAF void swiglu_backward(const void* x_, const void* dy_, void* dx_, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    const T *x = in<T>(x_) + r * 2 * width, *dy = in<T>(dy_) + r * width;
    T* dx = out<T>(dx_) + r * 2 * width;
    runs(width, [&](int64_t i, int64_t m) {
      const Floats gate = take(x + i, m), value = take(x + width + i, m), g = take(dy + i, m);
      put(dx + i, silu_slope(gate) * value * g, m);
      put(dx + width + i, silu(gate) * g, m);
    });
  }
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
