#include "train/commands/bench.h"

#include "framework/base/error.h"
#include "train/commands/bench_attention.h"
#include "train/commands/bench_step.h"

namespace longhaul::cli {

int run_bench(const BenchOptions& options, Console& console) {
  switch (options.action) {
    case BenchOptions::Action::kStep:
      return run_bench_step(options, console);
    case BenchOptions::Action::kGenerate:
      return run_bench_generate(options, console);
    case BenchOptions::Action::kAttention:
      return bench_attention(options, console);
  }
  throw InternalError("a benchmark without an action");
}

}  // namespace longhaul::cli
