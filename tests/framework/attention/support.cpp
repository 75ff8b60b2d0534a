#include "tests/framework/attention/support.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "framework/base/threads.h"

namespace longhaul::testing {
namespace {

void fill_normal(std::vector<double>& to, int64_t count, uint64_t seed, double size = 1) {
  const RandomStream stream{seed, 0, 0, RandomPurpose::kTest};
  to.resize(static_cast<size_t>(count));
  for (int64_t n = 0; n < count; ++n) to[static_cast<size_t>(n)] = size * stream.normal(static_cast<uint64_t>(n));
}

Tensor tensor_of(const Shape& shape, const std::vector<double>& values, DType dtype, Device device) {
  if (dtype == DType::kF64) return Tensor::of<double>(shape, values, device);
  if (dtype == DType::kF32) return Tensor::of<float>(shape, std::vector<float>(values.begin(), values.end()), device);
  std::vector<bfloat16> halves;
  for (const double x : values) halves.emplace_back(static_cast<float>(x));
  return Tensor::of<bfloat16>(shape, halves, device);
}

/// Element n of the row-major order of a view.
double at(const View& view, int64_t n) {
  int64_t offset = 0;
  for (int axis = view.shape.rank() - 1; axis >= 0; --axis) {
    offset += n % view.shape[axis] * view.strides[static_cast<size_t>(axis)];
    n /= view.shape[axis];
  }
  if (view.dtype == DType::kF64) return view.as<double>()[offset];
  if (view.dtype == DType::kF32) return view.as<float>()[offset];
  return static_cast<float>(view.as<bfloat16>()[offset]);
}

std::vector<double> values_of(const Tensor& tensor) {
  std::vector<double> out;
  if (!tensor.defined()) return out;
  for (int64_t n = 0; n < tensor.elements(); ++n) out.push_back(at(tensor.view(), n));
  return out;
}

void copy_into(const Tensor& to, const std::vector<double>& values) {
  const View view = to.view();
  for (int64_t n = 0; n < view.elements(); ++n) {
    int64_t offset = 0, left = n;
    for (int axis = 3; axis >= 0; --axis) {
      offset += left % view.shape[axis] * view.strides[static_cast<size_t>(axis)];
      left /= view.shape[axis];
    }
    const double x = values[static_cast<size_t>(n)];
    if (view.dtype == DType::kF64) view.as<double>()[offset] = x;
    if (view.dtype == DType::kF32) view.as<float>()[offset] = static_cast<float>(x);
    if (view.dtype == DType::kBF16) view.as<bfloat16>()[offset] = bfloat16(static_cast<float>(x));
  }
}

template <typename T>
TokenField<T> field(const std::vector<T>& values, int64_t batch) {
  TokenField<T> out;
  if (values.empty()) return out;
  out.data = values.data();
  out.batch_stride = static_cast<int64_t>(values.size()) / batch;
  return out;
}

}  // namespace

void Problem::fill(uint64_t seed) {
  fill_normal(query, batch * heads * pattern.queries() * d, seed + 1);
  fill_normal(key, batch * key_heads * pattern.keys() * d, seed + 2);
  fill_normal(value, batch * key_heads * pattern.keys() * dv, seed + 3);
  fill_normal(side_key, batch * key_heads * pattern.side_keys() * d, seed + 4);
  fill_normal(side_value, batch * key_heads * pattern.side_keys() * dv, seed + 5);
  fill_normal(dout, batch * heads * pattern.queries() * dv, seed + 6);
  fill_normal(dlse, batch * heads * pattern.queries(), seed + 7);
  if (dr > 0) {
    fill_normal(relative_query, batch * heads * pattern.queries() * dr, seed + 8);
    fill_normal(relative_key, heads * distances * dr, seed + 9);
  }
  if (distances > 0) fill_normal(relative_bias, heads * distances, seed + 10);
}

void round_to_bf16(Problem& problem) {
  for (auto* values :
       {&problem.query, &problem.key, &problem.value, &problem.side_key, &problem.side_value, &problem.dout,
        &problem.relative_query, &problem.relative_key, &problem.relative_bias}) {
    for (double& x : *values) x = static_cast<float>(bfloat16(static_cast<float>(x)));
  }
}

Results run_attention(const Problem& problem, Device device, DType dtype, int threads) {
  const int64_t b = problem.batch, h = problem.heads, hk = problem.key_heads, nq = problem.pattern.queries(),
                nk = problem.pattern.keys(), ns = problem.pattern.side_keys();
  const DType wide = dtype == DType::kF64 ? DType::kF64 : DType::kF32;
  Tensor query, key, value, dquery, dkey, dvalue;
  if (problem.fused) {  // [B, N, H d + Hk d + Hk dv], read and written in place
    const int64_t width = h * problem.d + hk * problem.d + hk * problem.dv;
    const Tensor all = Tensor::zeros({b, nq, width}, dtype, device),
                 grads = Tensor::zeros({b, nq, width}, dtype, device);
    const auto part = [&](const Tensor& of, int64_t heads, int64_t d, int64_t begin) {
      return of.as_strided({b, heads, nq, d}, {nq * width, d, width, 1}, begin);
    };
    query = part(all, h, problem.d, 0), key = part(all, hk, problem.d, h * problem.d),
    value = part(all, hk, problem.dv, (h + hk) * problem.d);
    dquery = part(grads, h, problem.d, 0), dkey = part(grads, hk, problem.d, h * problem.d),
    dvalue = part(grads, hk, problem.dv, (h + hk) * problem.d);
    copy_into(query, problem.query), copy_into(key, problem.key), copy_into(value, problem.value);
  } else {
    query = tensor_of({b, h, nq, problem.d}, problem.query, dtype, device),
    key = tensor_of({b, hk, nk, problem.d}, problem.key, dtype, device);
    value = tensor_of({b, hk, nk, problem.dv}, problem.value, dtype, device);
    dquery = Tensor::zeros({b, h, nq, problem.d}, dtype, device),
    dkey = Tensor::zeros({b, hk, nk, problem.d}, dtype, device);
    dvalue = Tensor::zeros({b, hk, nk, problem.dv}, dtype, device);
  }
  const Tensor out = Tensor::zeros({b, h, nq, problem.dv}, dtype, device),
               lse = Tensor::zeros({b, h, nq}, wide, device);
  Tensor side_key, side_value, dside_key, dside_value, dout, dlse, relative_query, relative_key, relative_bias,
      drelative_query, drelative_key, drelative_bias;
  kernels::AttentionOptions options;
  kernels::AttentionGradients extra;
  if (ns > 0) {
    side_key = tensor_of({b, hk, ns, problem.d}, problem.side_key, dtype, device),
    side_value = tensor_of({b, hk, ns, problem.dv}, problem.side_value, dtype, device);
    dside_key = Tensor::zeros({b, hk, ns, problem.d}, dtype, device),
    dside_value = Tensor::zeros({b, hk, ns, problem.dv}, dtype, device);
    options.side_key = side_key, options.side_value = side_value, extra.side_key = dside_key,
    extra.side_value = dside_value;
  }
  if (problem.with_dout) dout = tensor_of({b, h, nq, problem.dv}, problem.dout, dtype, device);
  if (problem.with_dlse) dlse = tensor_of({b, h, nq}, problem.dlse, wide, device);
  if (problem.dr > 0) {
    relative_query = tensor_of({b, h, nq, problem.dr}, problem.relative_query, dtype, device);
    relative_key = tensor_of({h, problem.distances, problem.dr}, problem.relative_key, dtype, device);
    drelative_query = Tensor::zeros(relative_query.shape(), dtype, device),
    drelative_key = Tensor::zeros(relative_key.shape(), wide, device);
    options.relative.query = relative_query, options.relative.key = relative_key;
    extra.relative_query = drelative_query, extra.relative_key = drelative_key;
  }
  if (problem.distances > 0) {
    relative_bias = tensor_of({h, problem.distances}, problem.relative_bias, dtype, device);
    drelative_bias = Tensor::zeros(relative_bias.shape(), wide, device);
    options.relative.bias = relative_bias, extra.relative_bias = drelative_bias;
    options.relative.first_distance = problem.first_distance;
  }
  options.pattern = &problem.pattern;
  options.scale = problem.scale;
  options.dropout = {{7, 3, 2, RandomPurpose::kAttentionDropout}, problem.dropout, problem.first_row};
  options.query_info.valid = field(problem.query_valid, b), options.key_info.valid = field(problem.key_valid, b);
  options.side_info.valid = field(problem.side_valid, b), options.key_info.global = field(problem.key_global, b);
  options.query_info.segment = field(problem.query_segment, b),
  options.key_info.segment = field(problem.key_segment, b);
  options.query_info.bucket = field(problem.query_bucket, b), options.key_info.bucket = field(problem.key_bucket, b);
  const auto shape = kernels::attention_shape(query, key, value, problem.pattern, options.relative);
  set_thread_count(threads);
  const int workers = thread_count();
  const auto workspace = [&](bool backward) {
    return Tensor::empty({kernels::attention_workspace_bytes(shape, backward, workers)}, DType::kU8, device);
  };
  const auto& kernels = kernels::backend(device).attention;
  kernels.forward(query, key, value, out, lse, workspace(false), options);
  kernels.backward(query, key, value, out, lse, view_or_absent(dout), view_or_absent(dlse), dquery, dkey, dvalue, extra,
                   workspace(true), options);
  set_thread_count(0);
  return {values_of(out),           values_of(lse),           values_of(dquery),      values_of(dkey),
          values_of(dvalue),        values_of(dside_key),     values_of(dside_value), values_of(drelative_query),
          values_of(drelative_key), values_of(drelative_bias)};
}

double largest_error(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double size = 1, error = 0;
  for (const double x : b) size = std::isfinite(x) ? std::max(size, std::abs(x)) : size;
  for (size_t n = 0; n < a.size(); ++n) {
    if (a[n] == b[n] || (std::isnan(a[n]) && std::isnan(b[n]))) continue;
    const double one = std::abs(a[n] - b[n]) / size;
    error = one <= error ? error : std::isnan(one) ? std::numeric_limits<double>::infinity() : one;
  }
  return error;
}

namespace {
const std::vector<std::pair<const char*, std::vector<double> Results::*>> kParts = {
    {"out", &Results::out},
    {"lse", &Results::lse},
    {"dquery", &Results::dquery},
    {"dkey", &Results::dkey},
    {"dvalue", &Results::dvalue},
    {"dside_key", &Results::dside_key},
    {"dside_value", &Results::dside_value},
    {"drelative_query", &Results::drelative_query},
    {"drelative_key", &Results::drelative_key},
    {"drelative_bias", &Results::drelative_bias}};
}

Worst compare(const Results& a, const Results& b) {
  Worst worst;
  for (const auto& [name, part] : kParts) {
    const double error = largest_error(a.*part, b.*part);
    if (error > worst.error) worst = {error, name};
  }
  return worst;
}

bool same_bits(const Results& a, const Results& b) {
  const auto same = [](double x, double y) { return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y); };
  for (const auto& [name, part] : kParts) {
    if (!std::equal((a.*part).begin(), (a.*part).end(), (b.*part).begin(), (b.*part).end(), same)) return false;
  }
  return true;
}

}  // namespace longhaul::testing
