#include "framework/backends/cpu/attention_relative_call.h"

namespace longhaul::cpu {
namespace {

Operand table(const View& view) {
  Operand out;
  if (!view.present) return out;
  out.data = view.data, out.dtype = view.dtype;
  out.head_stride = view.strides[0], out.row_stride = view.strides[1];
  return out;
}

int64_t floor_to_tile(int64_t distance, int64_t residue) {
  return distance - floor_mod(distance - residue, kPatternTile);
}

bool floating(const View& view) { return view.dtype == DType::kF32 || view.dtype == DType::kBF16; }

}  // namespace

RelativeCall relative_call(const Pattern& pattern, const kernels::RelativeTerm& term) {
  RelativeCall call;
  if (!term.present()) return call;
  call.query = Operand(term.query), call.key = table(term.key), call.bias = table(term.bias);
  call.width = term.query.present ? term.query.shape[3] : 0;
  call.distances = term.query.present ? term.key.shape[1] : term.bias.shape[1];
  call.first = term.first_distance;
  call.origin = floor_to_tile(call.first - (kPatternTile - 1), pattern.extent().query_offset - pattern.extent().key_offset);
  call.blocks = (call.first + call.distances - 1 - call.origin + kPatternTile - 1) / kPatternTile + 1;
  return call;
}

bool takes_relative(const View& query, const kernels::RelativeTerm& term) {
  if (term.query.present) {
    if (!term.key.present || term.query.dtype != query.dtype || term.key.dtype != query.dtype) return false;
    if (term.query.strides[3] != 1 || term.key.strides[2] != 1 || term.query.shape[3] > kWidest) return false;
    if (term.bias.present && term.bias.shape[1] != term.key.shape[1]) return false;
  }
  return !term.bias.present || floating(term.bias);
}

bool takes_relative(const kernels::AttentionGradients& gradients) {
  const auto dense = [](const View& view) { return !view.present || (view.dtype == DType::kF32 && view.contiguous()); };
  return dense(gradients.relative_key) && dense(gradients.relative_bias) &&
         (!gradients.relative_query.present || (floating(gradients.relative_query) && gradients.relative_query.strides[3] == 1));
}

void carve_relative(AttentionCall& call, char* at, bool backward) {
  RelativeCall& relative = call.relative;
  const auto take = [&at](int64_t count, auto*& to) {
    to = reinterpret_cast<std::decay_t<decltype(to)>>(at);
    at += (count * static_cast<int64_t>(sizeof *to) + 63) / 64 * 64;
  };
  const int64_t width = (relative.width + 31) / 32 * 32, rows = relative.blocks * kPatternTile, parts = call.batch * call.heads * call.splits;
  take(call.heads * relative.blocks, relative.finite);
  take(call.heads * rows * width, relative.packed);
  if (!backward) return;
  take(call.heads * rows * width, relative.packed_rows);
  take(parts * rows * width, relative.key_sums);
  take(parts * rows, relative.bias_sums);
  if (call.splits > 1) take(parts * call.query_tiles * kPatternTile * width, relative.query_sums);
}

}  // namespace longhaul::cpu
