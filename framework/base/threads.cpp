#include "framework/base/threads.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>

namespace longhaul {
namespace {

int available_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return std::max(1, omp_get_num_procs());
  return std::max(1, CPU_COUNT(&mask));
}

std::atomic<int> chosen{0};

}  // namespace

int thread_count() {
  const int threads = chosen.load();
  return threads > 0 ? threads : available_cores();
}

void set_thread_count(int threads) {
  chosen = std::max(0, threads);
  omp_set_num_threads(thread_count());
}

}  // namespace longhaul
