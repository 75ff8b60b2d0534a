#include "train/commands/bench_attention.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/base/units.h"
#include "framework/kernels/backend.h"
#include "framework/pattern/audit.h"
#include "framework/pattern/builders.h"
#include "framework/tensor/memory.h"
#include "framework/tensor/tensor.h"
#include "train/commands/device.h"
#include "train/commands/median.h"

namespace longhaul::cli {
namespace {

/// Uniform numbers in [-1, 1).
Tensor random_operand(const Shape& shape, DType dtype, Device device, uint32_t layer) {
  const RandomStream stream{1, 0, layer, RandomPurpose::kTest};
  std::vector<float> numbers(static_cast<size_t>(shape.elements()));
  for (size_t n = 0; n + 4 <= numbers.size(); n += 4) {
    const auto words = stream.block(n / 4);
    for (size_t w = 0; w < 4; ++w) numbers[n + w] = static_cast<float>(words[w] >> 8) * 0x1p-23f - 1.0f;
  }
  if (dtype == DType::kF32) return Tensor::of<float>(shape, numbers, device);
  std::vector<bfloat16> halves;
  halves.reserve(numbers.size());
  for (const float x : numbers) halves.emplace_back(x);
  return Tensor::of<bfloat16>(shape, halves, device);
}

template <typename F>
double seconds_of(F f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// GFLOP per second of the device's register loop; 0 where it has none.
double peak_rate(DType dtype, Device device) {
  const auto measure = kernels::backend(device).peak;
  return measure ? measure(dtype) * 1e-9 : 0;
}

}  // namespace

NamedPattern pattern_by_name(const std::string& name, int64_t length) {
  const Extent extent = Extent::square(length);
  if (name == "causal") return {pattern::causal(extent)};
  if (name == "dense") return {pattern::dense(extent)};
  const size_t colon = name.find(':');
  const std::string kind = name.substr(0, colon);
  const std::string number = colon == std::string::npos ? "" : name.substr(colon + 1);
  const int64_t keys = units::parse_integer(number).value_or(0);
  const bool known = kind == "window" || kind == "memory" || kind == "relative";
  check<ConfigError>(known && keys >= 1,
                     "[bench] \"{}\" is no pattern; expected causal, dense, window:KEYS, memory:KEYS or relative:KEYS\n"
                     "  hint: window:512 is causal with 512 visible keys, the query's own included; memory:512 is causal "
                     "with 512 keys before the first query",
                     name);
  if (kind == "window") return {pattern::sliding_window(extent, keys - 1, 0)};
  return {pattern::causal(Extent::decode(length, keys + length)), kind == "relative"};
}

AttentionBenchmark attention_benchmark(const NamedPattern& named, int64_t batch, int64_t heads, int64_t head_dim,
                                       DType dtype, Device device, int64_t repeats) {
  const auto& kernels = kernels::backend(device).attention;
  const Pattern& pattern = named.pattern;
  const Shape rows{batch, heads, pattern.queries(), head_dim}, key_rows{batch, heads, pattern.keys(), head_dim};
  device_memory(device).reset_peak();
  const Tensor query = random_operand(rows, dtype, device, 0), key = random_operand(key_rows, dtype, device, 1);
  const Tensor value = random_operand(key_rows, dtype, device, 2), dout = random_operand(rows, dtype, device, 3);
  const Tensor out = Tensor::zeros(rows, dtype, device), dquery = Tensor::zeros(rows, dtype, device);
  const Tensor dkey = Tensor::zeros(key_rows, dtype, device), dvalue = Tensor::zeros(key_rows, dtype, device);
  const Tensor lse = Tensor::zeros({batch, heads, pattern.queries()}, DType::kF32, device);
  kernels::AttentionOptions options;
  kernels::AttentionGradients extra;
  Tensor relative_query, relative_key, drelative_query, drelative_key;
  if (named.relative) {
    const Shape table{heads, pattern.keys(), head_dim};
    relative_query = random_operand(rows, dtype, device, 4), relative_key = random_operand(table, dtype, device, 5);
    drelative_query = Tensor::zeros(rows, dtype, device), drelative_key = Tensor::zeros(table, DType::kF32, device);
    options.relative.query = relative_query, options.relative.key = relative_key;
    extra.relative_query = drelative_query, extra.relative_key = drelative_key;
  }
  const auto shape = kernels::attention_shape(query, key, value, pattern, options.relative);
  options.pattern = &pattern;
  options.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)));

  AttentionBenchmark result;
  result.threads = device.kind == DeviceKind::kCpu ? thread_count() : 1;
  const auto workspace = [&](bool backward) {
    const MemoryScope scope(MemoryFamily::kWorkspace);
    return Tensor::empty({kernels::attention_workspace_bytes(shape, backward, result.threads)}, DType::kU8, device);
  };
  std::vector<double> forward, backward;
  for (int64_t run = 0; run <= repeats; ++run) {  // run 0 warms up
    result.peak_gflops_f32 = std::max(result.peak_gflops_f32, peak_rate(DType::kF32, device));
    result.peak_gflops_bf16 = std::max(result.peak_gflops_bf16, peak_rate(DType::kBF16, device));
    const double first = [&] {
      const Tensor scratch = workspace(false);
      return seconds_of([&] { kernels.forward(query, key, value, out, lse, scratch, options); });
    }();
    const double second = [&] {
      const Tensor scratch = workspace(true);
      return seconds_of([&] {
        kernels.backward(query, key, value, out, lse, dout, absent(), dquery, dkey, dvalue, extra, scratch, options);
      });
    }();
    if (run == 0) continue;
    forward.push_back(first);
    backward.push_back(second);
  }
  const PatternCost work = cost(pattern, batch, heads, heads, head_dim, head_dim, static_cast<int64_t>(size_of(dtype)));
  result.forward_seconds = median(forward);
  result.backward_seconds = median(backward);
  const double more_forward = named.relative ? 1.5 : 1, more_backward = named.relative ? 1.6 : 1;
  result.gflops_forward = more_forward * static_cast<double>(work.flops_forward) / result.forward_seconds * 1e-9;
  result.gflops_backward = more_backward * static_cast<double>(work.flops_backward) / result.backward_seconds * 1e-9;
  const double own_peak = dtype == DType::kBF16 ? result.peak_gflops_bf16 : result.peak_gflops_f32;
  if (own_peak > 0) {
    result.forward_of_peak = result.gflops_forward / own_peak;
    result.backward_of_peak = result.gflops_backward / own_peak;
  }
  result.tiles = work.tiles;
  result.pairs = work.pairs;
  result.peak_bytes = device_memory(device).report().total_peak;
  return result;
}

int bench_attention(const BenchOptions& options, Console& console) {
  const Device device = prepare_device(options.device);
  const DType dtype = options.dtype == "bf16" ? DType::kBF16 : DType::kF32;
  const NamedPattern pattern = pattern_by_name(options.pattern, options.length);
  const AttentionBenchmark r =
      attention_benchmark(pattern, options.batch, options.heads, options.head_dim, dtype, device, options.repeats);
  if (options.json) {
    nlohmann::ordered_json json = {{"pattern", options.pattern},
                                   {"length", options.length},
                                   {"batch", options.batch},
                                   {"heads", options.heads},
                                   {"head_dim", options.head_dim},
                                   {"dtype", options.dtype},
                                   {"device", name_of(device)},
                                   {"threads", r.threads},
                                   {"tiles", r.tiles},
                                   {"pairs", r.pairs},
                                   {"forward_seconds", r.forward_seconds},
                                   {"backward_seconds", r.backward_seconds},
                                   {"gflops_forward", r.gflops_forward},
                                   {"gflops_backward", r.gflops_backward},
                                   {"peak_gflops_f32", r.peak_gflops_f32},
                                   {"peak_gflops_bf16", r.peak_gflops_bf16},
                                   {"forward_of_peak", r.forward_of_peak},
                                   {"backward_of_peak", r.backward_of_peak},
                                   {"peak_bytes", r.peak_bytes}};
    console.result(json.dump(2));
    return 0;
  }
  console.result(
      fmt::format("{} attention, {} x {} heads x {} tokens x {}, {}, {} threads: {} tiles, {} visible pairs\n"
                  "forward   {:.4f} s  {:.1f} GF/s  {:.0f} % of the register loop\n"
                  "backward  {:.4f} s  {:.1f} GF/s  {:.0f} % of the register loop\n"
                  "register loop of all threads: {:.1f} GF/s f32, {:.1f} GF/s bf16; tensors at most {:.1f} MiB",
                  options.pattern, options.batch, options.heads, options.length, options.head_dim, options.dtype,
                  r.threads, r.tiles, r.pairs, r.forward_seconds, r.gflops_forward, 100 * r.forward_of_peak,
                  r.backward_seconds, r.gflops_backward, 100 * r.backward_of_peak, r.peak_gflops_f32,
                  r.peak_gflops_bf16, static_cast<double>(r.peak_bytes) / 1048576.0));
  return 0;
}

}  // namespace longhaul::cli
