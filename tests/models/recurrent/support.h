// defines: small_recurrent, stream_tokens, numbers_of, largest_difference
#pragma once
#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "framework/ops/support.h"
#include "models/recurrent/model.h"

namespace longhaul::models {

/// A model of two layers of width 16 over 11 ids; `change` edits its options before they are resolved. The segment is 6 tokens.
inline ModelSpec small_recurrent(const std::function<void(RecurrentOptions&)>& change = {}, const std::string& family = "transformer_xl") {
  const FamilyInfo* info = find_family(family);
  const auto options = std::dynamic_pointer_cast<RecurrentOptions>(info->make());
  options->body.dim = 16, options->body.layers = 2, options->body.heads = 2, options->body.feedforward = 24, options->body.init_std = 0.3;
  if (change) change(*options);
  info->resolve(*options, {.sequence_length = 6, .form = Form::kDecoder, .reversible = false});
  ModelSpec spec;
  spec.family = family;
  spec.options = options;
  spec.vocabulary = 11;
  return spec;
}

/// Token t of row b of endless streams.
inline int32_t stream_token(int64_t b, int64_t t) { return static_cast<int32_t>((t * 7 + t / 3 + 5 * b + t * t / 11) % 11); }

/// Columns [first, first + length) of `batch` streams.
inline Tensor stream_tokens(int64_t batch, int64_t first, int64_t length, Device device) {
  std::vector<int32_t> ids;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t t = first; t < first + length; ++t) ids.push_back(stream_token(b, t));
  }
  return Tensor::of<int32_t>({batch, length}, ids, device);
}

inline std::vector<double> numbers_of(const Tensor& tensor) {
  const Tensor rows = ops::dense(tensor);
  std::vector<double> out;
  for (int64_t n = 0; n < rows.elements(); ++n) out.push_back(rows.dtype() == DType::kF64 ? rows.data<double>()[n] : rows.dtype() == DType::kF32 ? rows.data<float>()[n] : static_cast<float>(rows.data<bfloat16>()[n]));
  return out;
}

inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0;
  for (size_t n = 0; n < a.size(); ++n) worst = std::max(worst, std::isnan(a[n] - b[n]) ? INFINITY : std::abs(a[n] - b[n]));
  return worst;
}

}  // namespace longhaul::models
