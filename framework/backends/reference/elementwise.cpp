#include <cmath>
#include <numbers>

#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::BinaryOp;
using kernels::DropoutOptions;
using kernels::Status;
using kernels::UnaryOp;

template <typename R>
R sigmoid(R x) {
  return R(1) / (R(1) + std::exp(-x));
}

template <typename R>
R tanh_gelu_argument(R x) {
  return std::sqrt(R(2) / std::numbers::pi_v<R>) * (x + R(0.044715) * x * x * x);
}

template <typename R>
R apply(UnaryOp op, R x) {
  switch (op) {
    case UnaryOp::kGelu:
      return R(0.5) * x * std::erfc(-x / std::numbers::sqrt2_v<R>);  // 1 + erf(z) = erfc(-z), exact for z << 0
    case UnaryOp::kGeluTanh:
      return R(0.5) * x * (R(1) + std::tanh(tanh_gelu_argument(x)));
    case UnaryOp::kRelu:
      return x < 0 ? R(0) : x;  // a NaN stays
    case UnaryOp::kSilu:
      return x * sigmoid(x);
    case UnaryOp::kTanh:
      return std::tanh(x);
    case UnaryOp::kSigmoid:
      return sigmoid(x);
    case UnaryOp::kExp:
      return std::exp(x);
    case UnaryOp::kLog:
      return std::log(x);
    case UnaryOp::kSquare:
      return x * x;
    case UnaryOp::kSqrt:
      return std::sqrt(x);
  }
  return x;
}

template <typename R>
R slope(UnaryOp op, R x) {
  switch (op) {
    case UnaryOp::kGelu: {  // Phi(x) + x phi(x)
      const R density = std::exp(R(-0.5) * x * x) / std::sqrt(R(2) * std::numbers::pi_v<R>);
      return R(0.5) * std::erfc(-x / std::numbers::sqrt2_v<R>) + x * density;
    }
    case UnaryOp::kGeluTanh: {
      const R t = std::tanh(tanh_gelu_argument(x));
      const R inner = std::sqrt(R(2) / std::numbers::pi_v<R>) * (R(1) + R(3 * 0.044715) * x * x);
      return R(0.5) * (R(1) + t) + R(0.5) * x * (R(1) - t * t) * inner;
    }
    case UnaryOp::kRelu:
      return x <= 0 ? R(0) : R(1);
    case UnaryOp::kSilu:
      return sigmoid(x) * (R(1) + x * (R(1) - sigmoid(x)));
    case UnaryOp::kTanh:
      return R(1) - std::tanh(x) * std::tanh(x);
    case UnaryOp::kSigmoid:
      return sigmoid(x) * (R(1) - sigmoid(x));
    case UnaryOp::kExp:
      return std::exp(x);
    case UnaryOp::kLog:
      return R(1) / x;
    case UnaryOp::kSquare:
      return R(2) * x;
    case UnaryOp::kSqrt:
      return R(0.5) / std::sqrt(x);
  }
  return R(1);
}

Status unary(const View& x, const View& y, UnaryOp op) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    for (int64_t i = 0; i < x.elements(); ++i) y.as<T>()[i] = converted<T>(apply(op, converted<Wide<T>>(x.as<T>()[i])));
    return Status::kOk;
  });
}

Status unary_backward(const View& x, const View& dy, const View& dx, UnaryOp op) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    for (int64_t i = 0; i < x.elements(); ++i) {
      dx.as<T>()[i] = converted<T>(slope(op, converted<Wide<T>>(x.as<T>()[i])) * converted<Wide<T>>(dy.as<T>()[i]));
    }
    return Status::kOk;
  });
}

Status binary(const View& a, const View& b, const View& c, BinaryOp op) {
  return visit(a.dtype, [&](auto element) {
    using T = decltype(element);
    const int64_t period = b.elements();
    for (int64_t i = 0; i < a.elements(); ++i) {
      const Wide<T> left = converted<Wide<T>>(a.as<T>()[i]), right = converted<Wide<T>>(b.as<T>()[i % period]);
      Wide<T> out = 0;
      switch (op) {
        case BinaryOp::kAdd:
          out = left + right;
          break;
        case BinaryOp::kSubtract:
          out = left - right;
          break;
        case BinaryOp::kMultiply:
          out = left * right;
          break;
        case BinaryOp::kDivide:
          out = left / right;
          break;
        case BinaryOp::kMaximum:
          out = left < right || std::isnan(right) ? right : left;
          break;
      }
      c.as<T>()[i] = converted<T>(out);
    }
    return Status::kOk;
  });
}

Status axpby(const View& x, const View& y, double alpha, double beta) {
  return visit(x.dtype, [&](auto from) {
    return visit(y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      using R = std::conditional_t<std::is_same_v<From, double> || std::is_same_v<To, double>, double, float>;
      for (int64_t i = 0; i < x.elements(); ++i) {
        R sum = static_cast<R>(alpha) * converted<R>(x.as<From>()[i]);
        if (beta != 0) sum += static_cast<R>(beta) * converted<R>(y.as<To>()[i]);
        y.as<To>()[i] = converted<To>(sum);
      }
      return Status::kOk;
    });
  });
}

Status fill(const View& y, double value) {
  return visit_any(y.dtype, [&](auto element) {
    using T = decltype(element);
    for (int64_t i = 0; i < y.elements(); ++i) y.as<T>()[i] = converted<T>(value);
    return Status::kOk;
  });
}

Status copy(const View& x, const View& y) {
  return visit_any(x.dtype, [&](auto from) {
    return visit_any(y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const int rank = x.shape.rank();
      for (int64_t i = 0; i < x.elements(); ++i) {
        int64_t rest = i, in = 0, out = 0;
        for (int axis = rank - 1; axis >= 0; --axis) {
          const int64_t index = rest % x.shape[axis];
          rest /= x.shape[axis];
          in += index * x.strides[axis];
          out += index * y.strides[axis];
        }
        y.as<To>()[out] = converted<To>(x.as<From>()[in]);
      }
      return Status::kOk;
    });
  });
}

Status dropout(const View& x, const View& y, const DropoutOptions& options) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    const uint32_t threshold = dropout_threshold(options.probability);
    const auto scale = static_cast<Wide<T>>(1.0 / (1.0 - options.probability));
    for (int64_t i = 0; i < x.elements(); ++i) {
      const bool kept = options.stream.word(options.first_element + static_cast<uint64_t>(i)) >= threshold;
      y.as<T>()[i] = kept ? converted<T>(scale * converted<Wide<T>>(x.as<T>()[i])) : converted<T>(0.0f);
    }
    return Status::kOk;
  });
}

Status swiglu(const View& x, const View& y) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    const int64_t rows = y.shape[0], width = y.shape[1];
    for (int64_t r = 0; r < rows; ++r) {
      const T* in = x.as<T>() + r * 2 * width;  // gate, then value
      T* out = y.as<T>() + r * width;
      for (int64_t j = 0; j < width; ++j) {
        out[j] = converted<T>(apply(UnaryOp::kSilu, converted<Wide<T>>(in[j])) * converted<Wide<T>>(in[width + j]));
      }
    }
    return Status::kOk;
  });
}

Status swiglu_backward(const View& x, const View& dy, const View& dx) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    const int64_t rows = dy.shape[0], width = dy.shape[1];
    for (int64_t r = 0; r < rows; ++r) {
      const T* in = x.as<T>() + r * 2 * width;
      T* out = dx.as<T>() + r * 2 * width;
      for (int64_t j = 0; j < width; ++j) {
        const Wide<T> gate = converted<Wide<T>>(in[j]), value = converted<Wide<T>>(in[width + j]);
        const Wide<T> gradient = converted<Wide<T>>(dy.as<T>()[r * width + j]);
        out[j] = converted<T>(slope(UnaryOp::kSilu, gate) * value * gradient);
        out[width + j] = converted<T>(apply(UnaryOp::kSilu, gate) * gradient);
      }
    }
    return Status::kOk;
  });
}

}  // namespace

void fill_elementwise(kernels::ElementwiseKernels& kernels) {
  kernels.unary.set(unary, kFloating);
  kernels.unary_backward.set(unary_backward, kFloating);
  kernels.binary.set(binary, kFloating);
  kernels.axpby.set(axpby, kFloating);
  kernels.fill.set(fill, kEveryType);
  kernels.copy.set(copy, kEveryType);
  kernels.dropout.set(dropout, kFloating);
  kernels.swiglu.set(swiglu, kFloating);
  kernels.swiglu_backward.set(swiglu_backward, kFloating);
}

}  // namespace longhaul::reference
