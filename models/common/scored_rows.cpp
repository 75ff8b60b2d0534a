#include "models/common/scored_rows.h"

#include <vector>

#include "framework/ops/support.h"

namespace longhaul::models {

ScoredRows find_scored_rows(const Tensor& targets, int64_t planned) {
  // Beyond a half the copies cost more memory than the rows save.
  const auto few = [&](int64_t count) { return count > 0 && 2 * count <= targets.elements(); };
  if (targets.device().is_meta()) {
    const int64_t count = targets.size(0) * planned;
    if (!few(count)) return {};
    return {Tensor::empty({count}, DType::kI32, targets.device()), Tensor::empty({count}, DType::kI32, targets.device())};
  }
  if (!targets.device().is_host()) return {};
  std::vector<int32_t> rows, values;
  const int32_t* target = targets.data<int32_t>();
  for (int64_t i = 0; i < targets.elements(); ++i) {
    if (target[i] < 0) continue;
    rows.push_back(static_cast<int32_t>(i));
    values.push_back(target[i]);
  }
  const auto count = static_cast<int64_t>(rows.size());
  if (!few(count)) return {};
  return {Tensor::of<int32_t>({count}, rows, targets.device()), Tensor::of<int32_t>({count}, values, targets.device())};
}

ops::CrossEntropyResult ScoredRows::in_place(ops::CrossEntropyResult few, int64_t count) const {
  const Tensor all = Tensor::zeros({count, 1}, few.nll.dtype(), few.nll.device());
  ops::table(all).rows.replace(few.nll.reshape({few.nll.elements(), 1}), rows, all);
  few.nll = all.reshape({count});
  if (few.best.defined() && !few.best.device().is_meta()) {
    std::vector<int32_t> best(static_cast<size_t>(count), -1);
    for (int64_t i = 0; i < rows.elements(); ++i) best[static_cast<size_t>(rows.data<int32_t>()[i])] = few.best.data<int32_t>()[i];
    few.best = Tensor::of<int32_t>({count}, best, rows.device());
  }
  return few;
}

}  // namespace longhaul::models
