#include <omp.h>
#include <algorithm>
#include <vector>

#include "framework/backends/cpu/attention_relative_call.h"
#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/isa.h"
#include "framework/base/threads.h"

namespace longhaul::cpu {

using kernels::AttentionGradients;
using kernels::AttentionOptions;
using kernels::Status;

const AttentionCode& attention_code(DType dtype) {
  switch (isa()) {
    case Isa::kAvx512Bf16:
      return dtype == DType::kBF16 ? attention_avx512_bf16() : attention_avx512();
    case Isa::kAvx512:
      return attention_avx512();
    case Isa::kAvx2:
      return attention_avx2();
    case Isa::kPortable:
      break;
  }
  return attention_portable();
}

namespace {

bool takes(const View& view) {
  return !view.present || ((view.dtype == DType::kF32 || view.dtype == DType::kBF16) && view.shape.rank() == 4 &&
                           (view.strides[3] == 1 || view.shape[3] == 1));
}

AttentionCall make_call(const View& query, const View& key, const View& value, const View& out, const View& lse,
                        const AttentionOptions& options) {
  AttentionCall call;
  const Pattern& pattern = *options.pattern;
  call.pattern = &pattern;
  call.query = Operand(query), call.key = Operand(key), call.value = Operand(value), call.out = Operand(out);
  call.side_key = Operand(options.side_key), call.side_value = Operand(options.side_value);
  call.lse = lse.as<float>();
  call.query_info = options.query_info, call.key_info = options.key_info, call.side_info = options.side_info;
  call.batch = query.shape[0], call.heads = query.shape[1], call.key_heads = key.shape[1];
  call.group = call.heads / call.key_heads;
  call.queries = query.shape[2], call.keys = key.shape[2], call.side_keys = pattern.side_keys();
  call.query_rows = pattern.query_rows(), call.key_rows = pattern.key_rows();
  call.query_tiles = pattern.query_tiles(), call.key_tiles = pattern.key_tiles(),
  call.side_tiles = pattern.side_tiles();
  call.d = query.shape[3], call.dv = value.shape[3];
  call.scale = options.scale;
  call.relative = relative_call(pattern, options.relative);
  if (options.dropout.probability > 0) {
    call.stream = options.dropout.stream;
    call.dropout_key0 = call.stream.key()[0], call.dropout_key1 = call.stream.key()[1];
    call.drop_below = dropout_threshold(options.dropout.probability);
    call.keep_scale = static_cast<float>(1 / (1 - options.dropout.probability));
    call.first_row = options.dropout.first_row;
  }
  return call;
}

/// What these kernels leave to others: key facts that differ inside a group of heads, scales that are not positive,
/// mixed dtypes.
bool supported(const AttentionCall& call, const AttentionOptions& options) {
  const auto by_head = [](const TokenInfo& info) {
    return info.position.head_stride || info.segment.head_stride || info.bucket.head_stride ||
           info.global.head_stride || info.valid.head_stride || info.rows.head_stride || info.chunk.head_stride;
  };
  if (!(call.scale > 0) || call.d > kWidest || call.dv > kWidest) return false;
  if (call.group > 1 &&
      (by_head(options.key_info) || by_head(options.side_info) || options.pattern->key_permutation().heads > 1))
    return false;
  return true;
}

/// The scratch of thread t behind the shared part, and how many threads it serves.
struct Workspace {
  Workspace(const View& view, const kernels::AttentionWorkspace& sizes) : base(view.as<char>()), sizes(sizes) {
    threads = static_cast<int>(std::clamp<int64_t>(
        (view.elements() - sizes.shared) / std::max<int64_t>(sizes.per_thread, 1), 0, thread_count()));
  }
  char* of(int thread) const { return base + sizes.shared + thread * sizes.per_thread; }
  char* base;
  kernels::AttentionWorkspace sizes;
  int threads;
};

template <typename Function>
void run(const AttentionCall& call, std::vector<AttentionTask>& tasks, const Workspace& workspace, Function function) {
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const AttentionTask& a, const AttentionTask& b) { return a.cost > b.cost; });
  const int64_t count = static_cast<int64_t>(tasks.size());
#pragma omp parallel for schedule(dynamic, 1) \
    num_threads(static_cast <int>(std::clamp <int64_t>(count, 1, workspace.threads)))
  for (int64_t n = 0; n < count; ++n) function(call, tasks[static_cast<size_t>(n)], workspace.of(omp_get_thread_num()));
}

template <typename Function>
void each_head(const AttentionCall& call, int threads, Function function) {
  const int64_t count = call.batch * call.heads;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t n = 0; n < count; ++n) function(call, n / call.heads, n % call.heads);
}

int layout_of(const AttentionCall& call, int64_t head) {
  return call.pattern->layouts() > 1 ? static_cast<int>(head) : 0;
}

/// Few tiles to a task where there is little work, so that many cores find some; and where each tile keeps a block of
/// relative scores, so that they stay in the second cache.
int64_t pairs_of_task(const AttentionCall& call) {
  const int64_t pairs = call.query_tiles * call.group * call.batch * call.key_heads;
  return std::clamp<int64_t>(pairs / 64, 1, kernels::kAttentionGroup / (call.relative.query ? 2 : 1));
}

/// Packs the table of relative distances once for all batch entries.
void pack_relative(AttentionCall& call, const AttentionCode& code, const Workspace& workspace, bool backward) {
  if (!call.relative.present()) return;
  carve_relative(call, workspace.base + workspace.sizes.relative, backward);
  if (!call.relative.query) return;
  const int64_t count = call.heads * call.relative.blocks;
#pragma omp parallel for schedule(static) num_threads(workspace.threads)
  for (int64_t n = 0; n < count; ++n)
    code.pack_relative(call, n / call.relative.blocks, n % call.relative.blocks, workspace.of(omp_get_thread_num()));
}

Status forward(const View& query, const View& key, const View& value, const View& out, const View& lse,
               const View& workspace_view, const AttentionOptions& options) {
  if (!takes(query) || !takes(key) || !takes(value) || !takes(out) || !takes(options.side_key) ||
      !takes(options.side_value) || !takes_relative(query, options.relative))
    return Status::kUnsupported;
  AttentionCall call = make_call(query, key, value, out, lse, options);
  if (!supported(call, options)) return Status::kUnsupported;
  const Workspace workspace(
      workspace_view,
      kernels::attention_workspace(kernels::attention_shape(query, key, value, *options.pattern, options.relative), false));
  if (workspace.threads < 1) return Status::kFailed;
  const AttentionCode& code = attention_code(query.dtype);
  std::vector<AttentionTask> tasks;
  if (call.query_tiles == 1 && call.query_rows * call.group <= kernels::kAttentionFewRows) {
    call.chunk_sums = reinterpret_cast<float*>(workspace.base);
    call.chunks = std::max<int64_t>(
        (call.key_tiles + call.side_tiles + kernels::kAttentionChunk - 1) / kernels::kAttentionChunk, 1);
    for (int64_t n = 0; n < call.batch * call.key_heads * call.chunks; ++n) {
      const int64_t chunk = n % call.chunks, unit = n / call.chunks;
      tasks.push_back({unit / call.key_heads, unit % call.key_heads, chunk, chunk + 1, 1, 0});
    }
    run(call, tasks, workspace, code.forward_few);
    each_head(call, 1, code.merge_few);
    return Status::kOk;
  }
  pack_relative(call, code, workspace, false);
  const int64_t pairs = call.query_tiles * call.group, step = pairs_of_task(call);
  for (int64_t b = 0; b < call.batch; ++b) {
    for (int64_t head = 0; head < call.key_heads; ++head) {
      for (int64_t first = 0; first < pairs; first += step) {
        AttentionTask task{b, head, first, std::min(first + step, pairs), 0, 0};
        for (int64_t pair = task.first; pair < task.last; ++pair) {
          const int layout = layout_of(call, head * call.group + pair % call.group);
          task.cost += static_cast<int64_t>(call.pattern->row(layout, pair / call.group).size());
        }
        tasks.push_back(task);
      }
    }
  }
  run(call, tasks, workspace, code.forward);
  return Status::kOk;
}

/// Ends of `splits` ranges of key tiles with about the same number of listed tiles.
std::vector<int64_t> split_columns(const AttentionCall& call, int64_t key_head) {
  const int64_t columns = call.key_tiles + call.side_tiles;
  std::vector<int64_t> upto(static_cast<size_t>(columns) + 1, 0), ends;
  for (int64_t c = 0; c < columns; ++c) {
    int64_t listed = 1;
    for (int64_t g = 0; g < call.group; ++g)
      listed += static_cast<int64_t>(call.pattern->column(layout_of(call, key_head * call.group + g), c).size());
    upto[static_cast<size_t>(c) + 1] = upto[static_cast<size_t>(c)] + listed;
  }
  for (int s = 1; s <= call.splits; ++s) {
    const int64_t target = upto.back() * s / call.splits;
    ends.push_back(std::lower_bound(upto.begin(), upto.end(), target) - upto.begin());
  }
  return ends;
}

Status backward(const View& query, const View& key, const View& value, const View& out, const View& lse,
                const View& dout, const View& dlse, const View& dquery, const View& dkey, const View& dvalue,
                const AttentionGradients& extra, const View& workspace_view, const AttentionOptions& options) {
  for (const View* view : {&query, &key, &value, &out, &dout, &dquery, &dkey, &dvalue, &extra.side_key,
                           &extra.side_value, &options.side_key, &options.side_value}) {
    if (!takes(*view)) return Status::kUnsupported;
  }
  if (!takes_relative(query, options.relative) || !takes_relative(extra)) return Status::kUnsupported;
  AttentionCall call = make_call(query, key, value, out, lse, options);
  if (!supported(call, options)) return Status::kUnsupported;
  call.dout = Operand(dout), call.dquery = Operand(dquery), call.dkey = Operand(dkey), call.dvalue = Operand(dvalue);
  call.dside_key = Operand(extra.side_key), call.dside_value = Operand(extra.side_value);
  call.dlse = dlse.present ? dlse.as<float>() : nullptr;
  call.relative.dquery = Operand(extra.relative_query);
  call.relative.dkey = extra.relative_key.present ? extra.relative_key.as<float>() : nullptr;
  call.relative.dbias = extra.relative_bias.present ? extra.relative_bias.as<float>() : nullptr;
  const kernels::AttentionShape shape =
      kernels::attention_shape(query, key, value, *options.pattern, options.relative);
  call.splits = kernels::attention_backward_splits(shape);
  const Workspace workspace(workspace_view, kernels::attention_workspace(shape, true));
  if (workspace.threads < 1) return Status::kFailed;
  if (call.splits > 1) call.dquery_sums = reinterpret_cast<float*>(workspace.base);
  std::vector<AttentionTask> tasks;
  for (int64_t b = 0; b < call.batch; ++b) {
    for (int64_t head = 0; head < call.key_heads; ++head) {
      int64_t begin = 0;
      int split = 0;
      for (const int64_t end : split_columns(call, head)) {
        tasks.push_back({b, head, begin, end, 1, split++});
        begin = end;
      }
    }
  }
  const AttentionCode& code = attention_code(query.dtype);
  pack_relative(call, code, workspace, true);
  run(call, tasks, workspace, code.backward);
  if (call.splits > 1 && call.dquery) each_head(call, workspace.threads, code.add_splits);
  if (!call.relative.present()) return Status::kOk;
  if (call.splits > 1 && call.relative.dquery) each_head(call, workspace.threads, code.add_relative_splits);
#pragma omp parallel for schedule(static) num_threads(workspace.threads)
  for (int64_t h = 0; h < call.heads; ++h) code.add_relative(call, h);
  return Status::kOk;
}

}  // namespace

void fill_attention(kernels::AttentionKernels& kernels) {
  kernels.forward.set(forward, {DType::kF32, DType::kBF16});
  kernels.backward.set(backward, {DType::kF32, DType::kBF16});
}

}  // namespace longhaul::cpu
