#include <algorithm>
#include <cmath>

#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::AdafactorOptions;
using kernels::AdamOptions;
using kernels::SgdOptions;
using kernels::Status;

inline constexpr kernels::DTypeSet kMaster = {DType::kF32, DType::kF64};

Status adam(const View& parameter, const View& gradient, const View& m, const View& v, const AdamOptions& o) {
  return visit(parameter.dtype, [&](auto element) {
    using R = Wide<decltype(element)>;
    const R beta1 = o.beta1, beta2 = o.beta2, rate = o.learning_rate, decay = o.weight_decay;
    for (int64_t i = 0; i < parameter.elements(); ++i) {
      R& w = parameter.as<R>()[i];
      R g = gradient.as<R>()[i] * static_cast<R>(o.gradient_scale);
      if (!o.decoupled) g += decay * w;
      R& first = m.as<R>()[i];
      R& second = v.as<R>()[i];
      first = beta1 * first + (R(1) - beta1) * g;
      second = beta2 * second + (R(1) - beta2) * g * g;
      const R step = (first / static_cast<R>(o.correction1)) /
                     (std::sqrt(second / static_cast<R>(o.correction2)) + static_cast<R>(o.eps));
      w -= rate * (step + (o.decoupled ? decay * w : R(0)));
    }
    return Status::kOk;
  });
}

Status sgd(const View& parameter, const View& gradient, const View& velocity, const SgdOptions& o) {
  return visit(parameter.dtype, [&](auto element) {
    using R = Wide<decltype(element)>;
    const R momentum = o.momentum;
    for (int64_t i = 0; i < parameter.elements(); ++i) {
      R& w = parameter.as<R>()[i];
      R g = gradient.as<R>()[i] * static_cast<R>(o.gradient_scale) + static_cast<R>(o.weight_decay) * w;
      if (velocity.present) {
        R& speed = velocity.as<R>()[i];
        speed = momentum * speed + g;
        g = o.nesterov ? g + momentum * speed : speed;
      }
      w -= static_cast<R>(o.learning_rate) * g;
    }
    return Status::kOk;
  });
}

// g [matrices, rows, columns]; row [matrices, rows]; column [matrices, columns]; u like g: g / sqrt(second moment)
template <typename R>
void factored_update(const R* g, R* row, R* column, R* u, int64_t matrices, int64_t rows, int64_t columns,
                     const AdafactorOptions& o) {
  const R beta2 = o.beta2, scale = o.gradient_scale, eps = o.eps;
  for (int64_t k = 0; k < matrices; ++k, g += rows * columns, u += rows * columns, row += rows, column += columns) {
    const auto square = [&](int64_t i, int64_t j) {
      const R scaled = g[i * columns + j] * scale;
      return scaled * scaled + eps;
    };
    R mean_row = 0;
    for (int64_t i = 0; i < rows; ++i) {
      R mean = 0;
      for (int64_t j = 0; j < columns; ++j) mean += square(i, j);
      row[i] = beta2 * row[i] + (R(1) - beta2) * (mean / static_cast<R>(columns));
      mean_row += row[i];
    }
    mean_row /= static_cast<R>(rows);
    for (int64_t j = 0; j < columns; ++j) {
      R mean = 0;
      for (int64_t i = 0; i < rows; ++i) mean += square(i, j);
      column[j] = beta2 * column[j] + (R(1) - beta2) * (mean / static_cast<R>(rows));
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        u[i * columns + j] = g[i * columns + j] * scale / (std::sqrt(row[i] / mean_row) * std::sqrt(column[j]));
      }
    }
  }
}

Status adafactor(const View& parameter, const View& gradient, const View& row, const View& column, const View& v,
                 const View& first, const View& update, const AdafactorOptions& o) {
  return visit(parameter.dtype, [&](auto element) {
    using R = Wide<decltype(element)>;
    const int64_t count = parameter.elements();
    R* u = update.as<R>();
    if (row.present) {
      const int64_t rows = parameter.shape[-2], columns = parameter.shape[-1];
      const int64_t matrices = count == 0 ? 0 : count / (rows * columns);
      factored_update(gradient.as<R>(), row.as<R>(), column.as<R>(), u, matrices, rows, columns, o);
    } else {
      for (int64_t i = 0; i < count; ++i) {
        const R g = gradient.as<R>()[i] * static_cast<R>(o.gradient_scale);
        R& second = v.as<R>()[i];
        second = static_cast<R>(o.beta2) * second + (R(1) - static_cast<R>(o.beta2)) * (g * g + static_cast<R>(o.eps));
        u[i] = g / std::sqrt(second);
      }
    }
    double squares = 0;
    for (int64_t i = 0; i < count; ++i) squares += static_cast<double>(u[i]) * static_cast<double>(u[i]);
    const double rms = count ? std::sqrt(squares / static_cast<double>(count)) : 0;
    // max(1, rms / d), written so that a NaN stays
    const double ratio = rms / static_cast<double>(o.clip_threshold);
    const R factor = static_cast<R>(o.alpha / (ratio <= 1 ? 1.0 : ratio));
    for (int64_t i = 0; i < count; ++i) {
      R step = factor * u[i];
      if (first.present) {
        R& moment = first.as<R>()[i];
        moment = static_cast<R>(o.beta1) * moment + (R(1) - static_cast<R>(o.beta1)) * step;
        step = moment;
      }
      R& w = parameter.as<R>()[i];
      w = w - static_cast<R>(o.weight_decay) * static_cast<R>(o.alpha) * w - step;
    }
    return Status::kOk;
  });
}

Status average(const View& parameter, const View& shadow, float decay) {
  return visit(parameter.dtype, [&](auto element) {
    using R = Wide<decltype(element)>;
    for (int64_t i = 0; i < parameter.elements(); ++i) {
      R& mean = shadow.as<R>()[i];
      mean = static_cast<R>(decay) * mean + (R(1) - static_cast<R>(decay)) * parameter.as<R>()[i];
    }
    return Status::kOk;
  });
}

}  // namespace

void fill_optimizer(kernels::OptimizerKernels& kernels) {
  kernels.adam.set(adam, kMaster);
  kernels.sgd.set(sgd, kMaster);
  kernels.adafactor.set(adafactor, kMaster);
  kernels.average.set(average, kMaster);
}

}  // namespace longhaul::reference
