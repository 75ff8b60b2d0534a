#include "tests/allocation/failing_new.h"

#include <elf.h>
#include <execinfo.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <utility>
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

template <typename T>
T read_at(std::ifstream& file, uint64_t offset) {
  T out{};
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(&out), sizeof out);
  return out;
}

// Where the functions of this program lie whose mangled names contain `part`, from its own symbol table.
std::vector<Range> functions_named(const char* part) {
  uintptr_t base = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* into) {  // the program itself comes first
        *static_cast<uintptr_t*>(into) = info->dlpi_addr;
        return 1;
      },
      &base);
  std::vector<Range> found;
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const auto header = read_at<ElfW(Ehdr)>(file, 0);
  const auto section = [&](size_t index) {
    return read_at<ElfW(Shdr)>(file, header.e_shoff + index * header.e_shentsize);
  };
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const auto table = section(i);
    if (table.sh_type != SHT_SYMTAB) continue;
    const auto strings = section(table.sh_link);
    std::string names(strings.sh_size, '\0');
    file.seekg(static_cast<std::streamoff>(strings.sh_offset));
    file.read(names.data(), static_cast<std::streamsize>(names.size()));
    for (uint64_t at = 0; at < table.sh_size; at += sizeof(ElfW(Sym))) {
      const auto symbol = read_at<ElfW(Sym)>(file, table.sh_offset + at);
      if (symbol.st_size == 0 || std::strstr(names.c_str() + symbol.st_name, part) == nullptr) continue;
      found.push_back({base + symbol.st_value, base + symbol.st_value + symbol.st_size});
    }
  }
  return found;
}

bool inside(const std::vector<Range>& ranges, const void* code) {
  const auto at = reinterpret_cast<uintptr_t>(code);
  return std::any_of(ranges.begin(), ranges.end(), [at](const Range& r) { return at >= r.begin && at < r.end; });
}

const std::vector<Range>& destruction_of_json() {
  static const std::vector<Range> ranges = functions_named("json_value7destroy");
  return ranges;
}

// Looked at only where an allocation is about to fail: walking the stack takes long.
bool called_while_json_is_destroyed() {
  std::array<void*, 16> frames{};
  const int count = backtrace(frames.data(), static_cast<int>(frames.size()));
  return std::any_of(frames.begin(), frames.begin() + count,
                     [](const void* code) { return inside(destruction_of_json(), code); });
}

void* allocate(size_t bytes, size_t alignment, const void* caller) {
  if (left >= 0 && !inside(foreign_code(), caller)) {
    if (left > 0) {
      --left;
    } else if (const int64_t now = std::exchange(left, -1); !called_while_json_is_destroyed()) {
      reached = true;
      throw std::bad_alloc();
    } else {
      left = now;
    }
  }
  void* memory = alignment == 0 ? std::malloc(bytes == 0 ? 1 : bytes)
                                : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* allocate_or_null(size_t bytes, const void* caller) noexcept {
  try {
    return allocate(bytes, 0, caller);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

FailingNew::FailingNew(int64_t n) {
  foreign_code();
  called_while_json_is_destroyed();  // reads the symbols, and loads what walks the stack
  reached = false;
  left = n;
}
FailingNew::~FailingNew() { left = -1; }
bool FailingNew::hit() { return reached; }

}  // namespace longhaul::testing

// Asked for by the leak sanitizer. A nlohmann::json that is made from a list leaks what it has when memory ends in its
// constructor; a leak of anything else is a report.
extern "C" __attribute__((visibility("default"))) const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:basic_json(std::initializer_list\n"; }

#define LONGHAUL_CALLER __builtin_return_address(0)
void* operator new(size_t bytes) { return longhaul::testing::allocate(bytes, 0, LONGHAUL_CALLER); }
void* operator new[](size_t bytes) { return longhaul::testing::allocate(bytes, 0, LONGHAUL_CALLER); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return longhaul::testing::allocate(bytes, static_cast<size_t>(alignment), LONGHAUL_CALLER);
}
// The standard library makes these of the ones above; the address sanitizer brings its own, whose memory may not be freed.
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return longhaul::testing::allocate_or_null(bytes, LONGHAUL_CALLER);
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return longhaul::testing::allocate_or_null(bytes, LONGHAUL_CALLER);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
