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
#include "models/bigbird/model.h"
#include "models/longformer/pattern.h"
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

/// Numbers behind "name:", all 1 or more; empty when the text is not that.
std::vector<int64_t> numbers_behind(const std::string& text, std::string_view name) {
  if (!text.starts_with(name) || text.size() <= name.size() || text[name.size()] != ':') return {};
  std::vector<int64_t> out;
  for (std::string_view left = std::string_view(text).substr(name.size()); !left.empty();) {
    left.remove_prefix(1);
    const size_t end = std::min(left.find(':'), left.size());
    const auto number = units::parse_integer(left.substr(0, end));
    if (!number || *number < 1) return {};
    out.push_back(*number);
    left.remove_prefix(end);
  }
  return out;
}

/// One call of the kernels with its operands, results and gradients.
class Call {
 public:
  Call(const Pattern& pattern, bool relative, bool marks_globals, const kernels::AttentionShape& sizes, Device device)
      : pattern_(pattern), kernels_(kernels::backend(device).attention), sizes_(sizes), device_(device) {
    const int64_t batch = sizes.batch, heads = sizes.heads, d = sizes.head_dim;
    const Shape queries{batch, heads, pattern.queries(), d}, keys{batch, heads, pattern.keys(), d};
    query_ = random_operand(queries, sizes.dtype, device, 0), dout_ = random_operand(queries, sizes.dtype, device, 3);
    key_ = random_operand(keys, sizes.dtype, device, 1), value_ = random_operand(keys, sizes.dtype, device, 2);
    out_ = Tensor::zeros(queries, sizes.dtype, device), dquery_ = Tensor::zeros(queries, sizes.dtype, device);
    dkey_ = Tensor::zeros(keys, sizes.dtype, device), dvalue_ = Tensor::zeros(keys, sizes.dtype, device);
    lse_ = Tensor::zeros({batch, heads, pattern.queries()}, DType::kF32, device);
    options_.pattern = &pattern_;
    options_.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
    if (relative) add_relative(queries, {heads, pattern.keys(), d});
    if (const int64_t side = pattern.side_keys(); side > 0) add_side(side, marks_globals);
  }
  Call(const Call&) = delete;

  double forward_seconds(int threads) const {
    const Tensor scratch = workspace(false, threads);
    return seconds_of([&] { kernels_.forward(query_, key_, value_, out_, lse_, scratch, options_); });
  }
  double backward_seconds(int threads) const {
    const Tensor scratch = workspace(true, threads);
    return seconds_of([&] {
      kernels_.backward(query_, key_, value_, out_, lse_, dout_, absent(), dquery_, dkey_, dvalue_, extra_, scratch,
                        options_);
    });
  }

 private:
  void add_relative(const Shape& queries, const Shape& table) {
    relative_query_ = random_operand(queries, sizes_.dtype, device_, 4), relative_key_ = random_operand(table, sizes_.dtype, device_, 5);
    drelative_query_ = Tensor::zeros(queries, sizes_.dtype, device_), drelative_key_ = Tensor::zeros(table, DType::kF32, device_);
    options_.relative.query = relative_query_, options_.relative.key = relative_key_;
    extra_.relative_query = drelative_query_, extra_.relative_key = drelative_key_;
  }
  void add_side(int64_t side, bool marks_globals) {
    const Shape shape{sizes_.batch, sizes_.heads, side, sizes_.head_dim};
    side_key_ = random_operand(shape, sizes_.dtype, device_, 4), side_value_ = random_operand(shape, sizes_.dtype, device_, 5);
    dside_key_ = Tensor::zeros(shape, sizes_.dtype, device_), dside_value_ = Tensor::zeros(shape, sizes_.dtype, device_);
    options_.side_key = side_key_, options_.side_value = side_value_;
    extra_.side_key = dside_key_, extra_.side_value = dside_value_;
    if (!marks_globals) return;
    // The first tokens are the global ones: keys that the window leaves out, rows that another call computes.
    global_.assign(static_cast<size_t>(pattern_.keys()), 0), local_.assign(global_.size(), 1);
    std::fill_n(global_.begin(), side, uint8_t{1}), std::fill_n(local_.begin(), side, uint8_t{0});
    options_.key_info.global.data = global_.data();
    options_.query_info.valid.data = local_.data();
  }
  Tensor workspace(bool backward, int threads) const {
    const MemoryScope scope(MemoryFamily::kWorkspace);
    const auto shape = kernels::attention_shape(query_, key_, value_, pattern_, options_.relative);
    return Tensor::empty({kernels::attention_workspace_bytes(shape, backward, threads)}, DType::kU8, device_);
  }

  Pattern pattern_;
  const kernels::AttentionKernels& kernels_;
  kernels::AttentionShape sizes_;
  Device device_;
  Tensor query_, key_, value_, dout_, out_, lse_, dquery_, dkey_, dvalue_, side_key_, side_value_, dside_key_, dside_value_;
  Tensor relative_query_, relative_key_, drelative_query_, drelative_key_;
  std::vector<uint8_t> global_, local_;
  kernels::AttentionOptions options_;
  kernels::AttentionGradients extra_;
};

}  // namespace

NamedPattern pattern_by_name(const std::string& name, int64_t length, int64_t heads) {
  const Extent extent = Extent::square(length);
  if (name == "causal") return {pattern::causal(extent)};
  if (name == "dense") return {pattern::dense(extent)};
  if (const auto window = numbers_behind(name, "window"); window.size() == 1) {
    return {pattern::sliding_window(extent, window[0] - 1, 0)};
  }
  for (const char* kind : {"memory", "relative"}) {
    if (const auto keys = numbers_behind(name, kind); keys.size() == 1) {
      return {pattern::causal(Extent::decode(length, keys[0] + length)), name.starts_with("relative")};
    }
  }
  if (const auto sizes = numbers_behind(name, "longformer"); sizes.size() == 2 && sizes[0] % 2 == 0) {
    check<ConfigError>(sizes[1] <= length, "[bench] \"{}\" has {} global tokens, the sequence {} tokens", name, sizes[1], length);
    return {models::longformer_pattern(extent, {sizes[0] / 2, sizes[0] / 2, {}}, sizes[1]), false,
            pattern::dense({sizes[1], length, 0, 0})};
  }
  if (const auto block = numbers_behind(name, "bigbird"); block.size() == 1) {
    const models::BlockOptions options{.block = block[0], .short_full = false};
    models::BodyOptions body;
    body.heads = static_cast<int>(heads);
    return {models::block_pattern(options, body, 0, extent, true)};
  }
  fail<ConfigError>(
      "[bench] \"{}\" is no pattern; expected causal, dense, window:KEYS, longformer:WINDOW:GLOBALS, bigbird:BLOCK, memory:KEYS or "
      "relative:KEYS\n"
      "  hint: window:512 is causal with 512 visible keys, the query's own included; longformer:512:64 has 256 tokens on "
      "each side and 64 global ones; memory:512 is causal with 512 keys before the first query",
      name);
}

AttentionBenchmark attention_benchmark(const NamedPattern& named, int64_t batch, int64_t heads, int64_t head_dim,
                                       DType dtype, Device device, int64_t repeats) {
  device_memory(device).reset_peak();
  kernels::AttentionShape sizes;
  sizes.dtype = dtype, sizes.batch = batch, sizes.heads = heads, sizes.head_dim = head_dim;
  const Call first(named.pattern, named.relative, named.global_rows.has_value(), sizes, device);
  std::optional<Call> second;
  if (named.global_rows) second.emplace(*named.global_rows, false, false, sizes, device);

  AttentionBenchmark result;
  result.threads = device.kind == DeviceKind::kCpu ? thread_count() : 1;
  std::vector<double> forward, backward;
  for (int64_t run = 0; run <= repeats; ++run) {  // run 0 warms up
    result.peak_gflops_f32 = std::max(result.peak_gflops_f32, peak_rate(DType::kF32, device));
    result.peak_gflops_bf16 = std::max(result.peak_gflops_bf16, peak_rate(DType::kBF16, device));
    const double ahead = first.forward_seconds(result.threads) + (second ? second->forward_seconds(result.threads) : 0);
    const double back = first.backward_seconds(result.threads) + (second ? second->backward_seconds(result.threads) : 0);
    if (run == 0) continue;
    forward.push_back(ahead);
    backward.push_back(back);
  }
  const auto cost_of = [&](const Pattern& pattern) {
    return cost(pattern, batch, heads, heads, head_dim, head_dim, static_cast<int64_t>(size_of(dtype)));
  };
  PatternCost work = cost_of(named.pattern);
  if (named.global_rows) {
    const PatternCost more = cost_of(*named.global_rows);
    work.tiles += more.tiles, work.pairs += more.pairs;
    work.flops_forward += more.flops_forward, work.flops_backward += more.flops_backward;
  }
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
  const NamedPattern pattern = pattern_by_name(options.pattern, options.length, options.heads);
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
