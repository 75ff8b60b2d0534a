#include <cmath>

#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::AdafactorOptions;
using kernels::AdamOptions;
using kernels::SgdOptions;
using kernels::Status;

inline constexpr kernels::DTypeSet kMaster = {DType::kF32};

Status adam(const View& parameter, const View& gradient, const View& m, const View& v, const AdamOptions& options) {
  const auto leaf = leaves().adam;
  for_blocks(parameter.elements(), kBlock, [&](int64_t begin, int64_t end) {
    leaf(parameter.as<float>() + begin, gradient.as<float>() + begin, m.as<float>() + begin, v.as<float>() + begin,
         end - begin, options);
  });
  return Status::kOk;
}

Status sgd(const View& parameter, const View& gradient, const View& velocity, const SgdOptions& options) {
  const auto leaf = leaves().sgd;
  for_blocks(parameter.elements(), kBlock, [&](int64_t begin, int64_t end) {
    leaf(parameter.as<float>() + begin, gradient.as<float>() + begin, static_cast<float*>(at(velocity, begin)),
         end - begin, options);
  });
  return Status::kOk;
}

Status average(const View& parameter, const View& shadow, float decay) {
  const auto leaf = leaves().axpby[0][0];
  for_blocks(parameter.elements(), kBlock, [&](int64_t begin, int64_t end) {
    leaf(parameter.as<float>() + begin, shadow.as<float>() + begin, 1.0f - decay, decay, end - begin);
  });
  return Status::kOk;
}

/// Row and column means of s = (scale g)^2 + eps of one matrix, moved into the running factors.
void update_factors(const float* g, float* row, float* column, int64_t rows, int64_t columns,
                    const AdafactorOptions& o) {
  const int64_t block = sum_block(rows, columns);
  const int64_t blocks = block_count(rows, block);
  float* partial = scratch(Slot::kPartials, (blocks + 1) * columns);
  for_blocks(rows, block, [&](int64_t begin, int64_t end) {
    float* sums = partial + begin / block * columns;
    std::fill_n(sums, columns, 0.0f);
    for (int64_t i = begin; i < end; ++i) {
      double total = 0;
      for (int64_t j = 0; j < columns; ++j) {
        const float scaled = g[i * columns + j] * o.gradient_scale;
        const float square = scaled * scaled + o.eps;
        sums[j] += square;
        total += static_cast<double>(square);
      }
      row[i] = o.beta2 * row[i] + (1 - o.beta2) * static_cast<float>(total / static_cast<double>(columns));
    }
  });
  float* total = partial + blocks * columns;
  std::fill_n(total, columns, 0.0f);
  add_partials(partial, blocks, columns, columns, total);
  for (int64_t j = 0; j < columns; ++j)
    column[j] = o.beta2 * column[j] + (1 - o.beta2) * (total[j] / static_cast<float>(rows));
}

/// u = g / sqrt(row column / mean(row))
void factored_update(const float* g, const float* row, const float* column, float* u, int64_t rows, int64_t columns,
                     const AdafactorOptions& o) {
  double mean = 0;
  for (int64_t i = 0; i < rows; ++i) mean += static_cast<double>(row[i]);
  const float mean_row = static_cast<float>(mean / static_cast<double>(rows));
  for_blocks(rows, rows_per_block(columns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float across = std::sqrt(row[i] / mean_row);
      for (int64_t j = 0; j < columns; ++j)
        u[i * columns + j] = g[i * columns + j] * o.gradient_scale / (across * std::sqrt(column[j]));
    }
  });
}

double mean_square(const float* u, int64_t count) {
  const auto leaf = leaves().sum[0];
  const int64_t blocks = block_count(count, kBlock);
  double* partial = reinterpret_cast<double*>(scratch(Slot::kPartials, 2 * blocks));
  for_blocks(count, kBlock,
             [&](int64_t begin, int64_t end) { partial[begin / kBlock] = leaf(u + begin, end - begin, true); });
  double total = 0;
  for (int64_t b = 0; b < blocks; ++b) total += partial[b];
  return total / static_cast<double>(count);
}

Status adafactor(const View& parameter, const View& gradient, const View& row, const View& column, const View& v,
                 const View& first, const View& update, const AdafactorOptions& o) {
  const int64_t count = parameter.elements();
  if (count == 0) return Status::kOk;
  const float* g = gradient.as<float>();
  float* u = update.as<float>();
  if (row.present) {
    const int64_t rows = parameter.shape[-2], columns = parameter.shape[-1];
    for (int64_t k = 0; k < count / (rows * columns); ++k) {
      float *own_row = row.as<float>() + k * rows, *own_column = column.as<float>() + k * columns;
      update_factors(g + k * rows * columns, own_row, own_column, rows, columns, o);
      factored_update(g + k * rows * columns, own_row, own_column, u + k * rows * columns, rows, columns, o);
    }
  } else {
    float* second = v.as<float>();
    for_blocks(count, kBlock, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float scaled = g[i] * o.gradient_scale;
        second[i] = o.beta2 * second[i] + (1 - o.beta2) * (scaled * scaled + o.eps);
        u[i] = scaled / std::sqrt(second[i]);
      }
    });
  }
  const double ratio = std::sqrt(mean_square(u, count)) / static_cast<double>(o.clip_threshold);
  const float factor = static_cast<float>(o.alpha / (ratio <= 1 ? 1.0 : ratio));  // a NaN stays
  const float shrink = o.weight_decay * o.alpha;
  float *w = parameter.as<float>(), *moment = first.as<float>();
  for_blocks(count, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float step = factor * u[i];
      if (moment) step = moment[i] = o.beta1 * moment[i] + (1 - o.beta1) * step;
      w[i] = w[i] - shrink * w[i] - step;
    }
  });
  return Status::kOk;
}

}  // namespace

void fill_optimizer(kernels::OptimizerKernels& kernels) {
  kernels.adam.set(adam, kMaster);
  kernels.sgd.set(sgd, kMaster);
  kernels.adafactor.set(adafactor, kMaster);
  kernels.average.set(average, kMaster);
}

}  // namespace longhaul::cpu
