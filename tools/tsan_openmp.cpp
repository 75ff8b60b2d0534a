// Tells the thread sanitizer what OpenMP orders. libgomp is not instrumented, so without this every parallel region
// looks like a race of its threads with the one that started it. Entry points of libgomp are taken over, called through,
// and surrounded by the happens-before edges that OpenMP 4.5 section 1.4.4 promises and no others: start of a region
// before its threads, threads before its end, everything before a barrier before everything after it. A race between
// the threads of a region stays visible. Linked into the tsan tree only, and itself not instrumented.
#include <dlfcn.h>

#include <cstdlib>

extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);

namespace {

struct Region {
  void (*body)(void*);
  void* data;
  char begin, barrier, end;  // their addresses name the edges
};

thread_local Region* current = nullptr;

template <typename Function>
Function next(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function>(found);
}

void run_thread(void* argument) {
  auto* region = static_cast<Region*>(argument);
  __tsan_acquire(&region->begin);
  Region* outer = current;
  current = region;
  region->body(region->data);
  current = outer;
  __tsan_release(&region->end);
}

void at_barrier(void (*wait)()) {
  if (current == nullptr) return wait();
  Region* region = current;
  __tsan_release(&region->barrier);
  wait();
  __tsan_acquire(&region->barrier);
}

}  // namespace

#define LONGHAUL_EXPORTED extern "C" __attribute__((visibility("default")))

LONGHAUL_EXPORTED void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags) {
  static const auto real = next<void (*)(void (*)(void*), void*, unsigned, unsigned)>("GOMP_parallel");
  Region region{body, data, 0, 0, 0};
  __tsan_release(&region.begin);
  real(run_thread, &region, threads, flags);
  __tsan_acquire(&region.end);
}

LONGHAUL_EXPORTED void GOMP_barrier() {
  static const auto real = next<void (*)()>("GOMP_barrier");
  at_barrier(real);
}

// The implied barrier behind a work-sharing loop.
LONGHAUL_EXPORTED void GOMP_loop_end() {
  static const auto real = next<void (*)()>("GOMP_loop_end");
  at_barrier(real);
}
