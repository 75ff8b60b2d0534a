#include "framework/backends/cpu/convert.h"
#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::CrossEntropyOptions;
using kernels::Status;

float element(const View& view, int64_t index) {
  return view.dtype == DType::kBF16 ? static_cast<float>(view.as<bfloat16>()[index]) : view.as<float>()[index];
}

Status forward(const View& logits, const View& target, const View& nll, const View& smoothed, const View& dlogits,
               const CrossEntropyOptions& options) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  const int32_t* wanted = target.as<int32_t>();
  for (int64_t r = 0; r < rows; ++r) {
    if (wanted[r] < -1 || wanted[r] >= classes) return Status::kFailed;
  }
  const int gradient = dlogits.present ? lane_of(dlogits.dtype) : 0;
  if (gradient < 0) return Status::kUnsupported;
  const auto leaf = leaves().cross_entropy[lane_of(logits.dtype)][gradient];
  const float epsilon = options.label_smoothing;
  for_blocks(rows, rows_per_block(classes), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float loss = 0, smooth = 0;
      if (wanted[r] < 0) {
        if (dlogits.present)
          std::fill_n(static_cast<char*>(at(dlogits, r * classes)),
                      classes * static_cast<int64_t>(size_of(dlogits.dtype)), char{0});
      } else {
        float lse = 0, mean = 0;
        const float at_target = element(logits, r * classes + wanted[r]);  // read before dlogits takes its place
        leaf(at(logits, r * classes), at(dlogits, r * classes), classes, wanted[r], epsilon, options.scale, &lse,
             &mean);
        loss = lse - at_target;
        smooth = epsilon == 0 ? loss : (1 - epsilon) * loss + epsilon * (lse - mean);
      }
      nll.as<float>()[r] = loss;
      if (smoothed.present) smoothed.as<float>()[r] = smooth;
    }
  });
  return Status::kOk;
}

}  // namespace

void fill_cross_entropy(kernels::CrossEntropyKernels& kernels) { kernels.forward.set(forward, kFloating); }

}  // namespace longhaul::cpu
