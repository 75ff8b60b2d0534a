#include "tests/allocation/failing_new.h"

#include <link.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

namespace longhaul::testing {
namespace {

thread_local int64_t left = -1;  // allocations until one fails; negative: none fails
thread_local bool reached = false;

struct Range {
  uintptr_t begin, end;
};

// Where the code of the libraries lies that are not judged. Found once, before any allocation fails.
const std::vector<Range>& foreign_code() {
  static const std::vector<Range> ranges = [] {
    std::vector<Range> found;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* into) {
          const char* name = info->dlpi_name;
          if (std::strstr(name, "libdnnl") == nullptr && std::strstr(name, "libgomp") == nullptr) return 0;
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& part = info->dlpi_phdr[i];
            if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
            const uintptr_t begin = info->dlpi_addr + part.p_vaddr;
            static_cast<std::vector<Range>*>(into)->push_back({begin, begin + part.p_memsz});
          }
          return 0;
        },
        &found);
    return found;
  }();
  return ranges;
}

void* allocate(size_t bytes, size_t alignment, const void* caller) {
  if (left >= 0) {
    const auto at = reinterpret_cast<uintptr_t>(caller);
    bool foreign = false;
    for (const Range& range : foreign_code()) foreign |= at >= range.begin && at < range.end;
    if (!foreign && left-- == 0) {
      reached = true;
      throw std::bad_alloc();
    }
  }
  void* memory = alignment == 0 ? std::malloc(bytes == 0 ? 1 : bytes)
                                : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

FailingNew::FailingNew(int64_t n) {
  foreign_code();
  reached = false;
  left = n;
}
FailingNew::~FailingNew() { left = -1; }
bool FailingNew::hit() { return reached; }

}  // namespace longhaul::testing

#define LONGHAUL_CALLER __builtin_return_address(0)
void* operator new(size_t bytes) { return longhaul::testing::allocate(bytes, 0, LONGHAUL_CALLER); }
void* operator new[](size_t bytes) { return longhaul::testing::allocate(bytes, 0, LONGHAUL_CALLER); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return longhaul::testing::allocate(bytes, static_cast<size_t>(alignment), LONGHAUL_CALLER);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
