#include "models/recurrent/adaptive.h"

#include <algorithm>
#include <cmath>

#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/linear.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"
#include "framework/ops/softmax.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {
namespace {

constexpr double kProjectionDeviation = 0.01;  // proj_init_std of the published runs

bool on_host(const Tensor& tensor) { return tensor.device().is_host(); }

/// ids - first where the id lies in [first, end), else -1.
Tensor within(const Tensor& ids, int64_t first, int64_t end) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const Tensor out = Tensor::empty(ids.shape(), DType::kI32, ids.device());
  if (!on_host(ids)) return out;
  const int32_t* from = ids.data<int32_t>();
  for (int64_t n = 0; n < ids.elements(); ++n)
    out.data<int32_t>()[n] = from[n] >= first && from[n] < end ? static_cast<int32_t>(from[n] - first) : -1;
  return out;
}

/// The rows whose target lies in a cluster, and those targets, filled up with -1 to one of eight sizes, so that steps
/// differ little in what they allocate. On meta, where nobody knows the targets: all rows.
struct ClusterRows {
  Tensor rows, targets;  // [m] i32
  int64_t count = 0;
};
ClusterRows rows_of(const Tensor& targets, int64_t first, int64_t end) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const int64_t total = targets.elements();
  if (!on_host(targets)) {
    return {Tensor::empty({total}, DType::kI32, targets.device()), Tensor::empty({total}, DType::kI32, targets.device()), total};
  }
  std::vector<int32_t> rows, inside;
  for (int64_t n = 0; n < total; ++n) {
    const int32_t id = targets.data<int32_t>()[n];
    if (id < first || id >= end) continue;
    rows.push_back(static_cast<int32_t>(n));
    inside.push_back(static_cast<int32_t>(id - first));
  }
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t step = std::max<int64_t>(16, (total + 7) / 8), filled = (count + step - 1) / step * step;
  rows.resize(static_cast<size_t>(filled), -1), inside.resize(static_cast<size_t>(filled), -1);
  return {Tensor::of<int32_t>({filled}, rows, targets.device()), Tensor::of<int32_t>({filled}, inside, targets.device()), count};
}

/// to[rows[m]] += from[m]
void add_rows(const Tensor& from, const ClusterRows& cluster, const Tensor& to) {
  if (!on_host(to)) return;
  const auto add = [&](auto* into, const auto* values) {
    for (int64_t m = 0; m < cluster.count; ++m) into[cluster.rows.data<int32_t>()[m]] += values[m];
  };
  if (to.dtype() == DType::kF64) add(to.data<double>(), from.data<double>());
  else add(to.data<float>(), from.data<float>());
}

}  // namespace

AdaptiveTokens::AdaptiveTokens(const RecurrentOptions& options, int64_t vocabulary, nn::Initializer& init) : dim_(options.body.dim) {
  const AdaptiveOptions& a = options.adaptive;
  bounds_ = {0};
  for (const int64_t cutoff : a.cutoffs) {
    check<ConfigError>(cutoff < vocabulary, "[model] model.adaptive.cutoffs holds {}, but the vocabulary has {} ids\n  hint: cutoffs are first ids of clusters, below the size of the vocabulary", cutoff, vocabulary);
    bounds_.push_back(cutoff);
  }
  bounds_.push_back(vocabulary);
  shared_ = a.div_val == 1;
  const double deviation = options.body.init_std;
  const auto named = [](const char* name, int64_t i) { return std::string(name) + "." + std::to_string(i); };
  std::vector<int64_t> widths;
  for (int64_t i = 0, width = a.embed_dim; i < clusters(); ++i, width /= a.div_val) widths.push_back(width);
  const bool projected = !shared_ || a.embed_dim != dim_;
  for (int64_t i = 0; i < (shared_ ? 1 : clusters()); ++i) {
    const int64_t rows = shared_ ? vocabulary : bounds_[static_cast<size_t>(i) + 1] - bounds_[static_cast<size_t>(i)];
    add(named("embedding.tables", i), tables_.emplace_back(init.normal({rows, widths[static_cast<size_t>(i)]}, deviation)));
    if (projected) add(named("embedding.projections", i), projections_.emplace_back(init.normal({dim_, widths[static_cast<size_t>(i)]}, kProjectionDeviation)));
  }
  for (size_t i = 0; i < tables_.size(); ++i) {
    const Variable own = options.body.tied_embeddings ? tables_[i] : init.normal(tables_[i].shape(), deviation);
    if (!options.body.tied_embeddings) add(named("head.tables", static_cast<int64_t>(i)), own);
    output_tables_.push_back(own);
  }
  for (int64_t i = 0; projected && i < clusters(); ++i) {
    const bool tied = a.tied_projections == TiedProjections::kAll || (a.tied_projections == TiedProjections::kAllButFirst && i > 0);
    const Variable& of_input = projections_[shared_ ? 0 : static_cast<size_t>(i)];
    const Variable own = tied ? of_input : init.normal(of_input.shape(), kProjectionDeviation);
    if (!tied) add(named("head.projections", i), own);
    output_projections_.push_back(own);
  }
  for (size_t i = 0; i < tables_.size(); ++i) add(named("head.biases", static_cast<int64_t>(i)), biases_.emplace_back(init.constant({tables_[i].size(0)}, 0)));
  if (clusters() > 1) {
    add("head.clusters", cluster_weight_ = init.normal({clusters() - 1, widths[0]}, deviation));
    add("head.cluster_bias", cluster_bias_ = init.constant({clusters() - 1}, 0));
  }
}

Variable AdaptiveTokens::embed(const Tensor& tokens) const {
  const DType dtype = tables_[0].dtype();
  Variable sum;
  for (size_t i = 0; i < tables_.size(); ++i) {
    const Tensor index = tables_.size() == 1 ? tokens : within(tokens, bounds_[i], bounds_[i + 1]);
    Variable part = ops::embedding(tables_[i], index, dtype);
    if (!projections_.empty()) part = ops::linear(part, projections_[i], {});
    sum = sum.defined() ? ops::add(sum, part) : part;
  }
  return ops::scale(sum, std::sqrt(static_cast<double>(dim_)));
}

Variable AdaptiveTokens::output_table(int64_t cluster) const {
  if (!shared_) return output_tables_[static_cast<size_t>(cluster)];
  if (clusters() == 1) return output_tables_[0];
  return ops::slice(output_tables_[0], 0, bounds_[static_cast<size_t>(cluster)], bounds_[static_cast<size_t>(cluster) + 1]);
}

Variable AdaptiveTokens::bias(int64_t cluster) const {
  if (!shared_) return biases_[static_cast<size_t>(cluster)];
  if (clusters() == 1) return biases_[0];
  return ops::slice(biases_[0], 0, bounds_[static_cast<size_t>(cluster)], bounds_[static_cast<size_t>(cluster) + 1]);
}

Variable AdaptiveTokens::projected(const Variable& hidden, int64_t cluster) const {
  if (output_projections_.empty()) return hidden;
  return ops::linear(hidden, ops::permute(output_projections_[static_cast<size_t>(cluster)], {1, 0}), {});
}

Variable AdaptiveTokens::head_weight() const {
  if (clusters() == 1) return output_table(0);
  const Variable parts[] = {output_table(0), cluster_weight_};
  return ops::concat(parts, 0);
}

Variable AdaptiveTokens::head_bias() const {
  if (clusters() == 1) return bias(0);
  const Variable parts[] = {bias(0), cluster_bias_};
  return ops::concat(parts, 0);
}

ops::CrossEntropyResult AdaptiveTokens::loss(const Variable& hidden, const Tensor& targets, const ops::LossOptions& options) const {
  const Variable rows = ops::reshape(hidden, {-1, dim_});  // [n, D]
  const Tensor flat = targets.reshape({-1});
  if (clusters() == 1) return ops::linear_cross_entropy(projected(rows, 0), head_weight(), head_bias(), flat, options);
  check<ConfigError>(options.label_smoothing == 0, "[model] label smoothing over clusters of a vocabulary is not defined\n  hint: train.label_smoothing: 0, or no model.adaptive.cutoffs");
  Tensor head_targets;
  {
    const MemoryScope scope(MemoryFamily::kWorkspace);
    head_targets = Tensor::empty(flat.shape(), DType::kI32, flat.device());
  }
  if (on_host(flat)) {
    for (int64_t n = 0; n < flat.elements(); ++n) {
      const int32_t id = flat.data<int32_t>()[n];
      const auto cluster = std::upper_bound(bounds_.begin() + 1, bounds_.end() - 1, id) - bounds_.begin() - 1;
      head_targets.data<int32_t>()[n] = id < bounds_[1] ? id : static_cast<int32_t>(bounds_[1] + cluster - 1);
    }
  }
  ops::CrossEntropyResult result = ops::linear_cross_entropy(projected(rows, 0), head_weight(), head_bias(), head_targets, options);
  for (int64_t i = 1; i < clusters(); ++i) {
    const ClusterRows cluster = rows_of(flat, bounds_[static_cast<size_t>(i)], bounds_[static_cast<size_t>(i) + 1]);
    if (cluster.count == 0) continue;
    const Variable own = projected(ops::gather_rows(rows, cluster.rows), i);
    const auto tail = ops::linear_cross_entropy(own, output_table(i), bias(i), cluster.targets, options);
    result.loss = ops::add(result.loss, tail.loss);
    add_rows(tail.nll, cluster, result.nll);
  }
  return result;
}

Variable AdaptiveTokens::logits(const Variable& hidden) const {
  const DType dtype = tables_[0].dtype();
  const Variable rows = ops::cast(ops::reshape(hidden, {-1, dim_}), dtype);
  Variable all = ops::linear(projected(rows, 0), head_weight(), head_bias());
  if (clusters() > 1) {
    const Variable head = ops::log_softmax(all);  // [n, c_1 + clusters - 1]
    std::vector<Variable> parts = {ops::slice(head, 1, 0, bounds_[1])};
    for (int64_t i = 1; i < clusters(); ++i) {
      const Variable tail = ops::log_softmax(ops::linear(projected(rows, i), output_table(i), bias(i)));
      const Tensor ones = Tensor::empty({1, tail.size(1)}, dtype, tail.device());
      ops::table(ones).elementwise.fill(ones, 1);
      const Variable column = ops::slice(head, 1, bounds_[1] + i - 1, bounds_[1] + i);  // [n, 1]
      parts.push_back(ops::add(tail, ops::matmul(column, Variable(ones))));
    }
    all = ops::concat(parts, 1);
  }
  Shape shape = hidden.shape();
  shape[-1] = bounds_.back();
  return shape.rank() == 3 ? ops::reshape(all, {shape[0], shape[1], shape[2]}) : all;
}

}  // namespace longhaul::models
