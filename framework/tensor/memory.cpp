#include "framework/tensor/memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "framework/base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define LONGHAUL_POISON(p, n) __asan_poison_memory_region(p, n)
#define LONGHAUL_UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define LONGHAUL_POISON(p, n) (void)0
#define LONGHAUL_UNPOISON(p, n) (void)0
#endif

namespace longhaul {
namespace {

thread_local MemoryFamily current_family = MemoryFamily::kActivations;
thread_local DeviceMemory* current_meta = nullptr;

int64_t round_up(int64_t bytes) {
  return (std::max<int64_t>(bytes, 1) + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment;
}

}  // namespace

std::string_view name_of(MemoryFamily family) {
  constexpr std::string_view kNames[] = {"parameters", "gradients", "optimizer", "activations", "workspace", "state"};
  return kNames[static_cast<int>(family)];
}

MemoryScope::MemoryScope(MemoryFamily family) : previous_(current_family) { current_family = family; }
MemoryScope::~MemoryScope() { current_family = previous_; }
MemoryFamily MemoryScope::current() { return current_family; }

// Makes sure that one more block can be given back.
void Arena::provide_spares() {
  if (spare_offsets_.size() > out_) return;
  if (spare_offsets_.capacity() <= nodes_ || spare_sizes_.capacity() <= nodes_) {
    spare_offsets_.reserve(2 * nodes_ + 16);
    spare_sizes_.reserve(2 * nodes_ + 16);
  }
  ByOffset offset;
  BySize size;
  offset.emplace(0, 0);
  size.emplace(0, 0);
  spare_offsets_.push_back(offset.extract(offset.begin()));
  spare_sizes_.push_back(size.extract(size.begin()));
  ++nodes_;
}

int64_t Arena::take(int64_t bytes, int64_t limit) {
  provide_spares();
  const auto found = free_by_size_.lower_bound({bytes, 0});
  if (found != free_by_size_.end()) {
    const auto [size, offset] = *found;
    remove_free(free_by_offset_.find(offset));
    if (size > bytes) insert_free(offset + bytes, size - bytes);
    ++out_;
    return offset;
  }
  // Nothing fits: grow at the top, starting inside a free block that touches it.
  const auto last = free_by_offset_.empty() ? free_by_offset_.end() : std::prev(free_by_offset_.end());
  const bool touches = last != free_by_offset_.end() && last->first + last->second == top_;
  const int64_t offset = touches ? last->first : top_;
  if (bytes > limit - offset) return -1;
  if (touches) remove_free(last);
  top_ = offset + bytes;
  ++growths_;
  ++out_;
  return offset;
}

void Arena::insert_free(int64_t offset, int64_t bytes) noexcept {
  ByOffset::node_type& by_offset = spare_offsets_.back();
  by_offset.key() = offset;
  by_offset.mapped() = bytes;
  free_by_offset_.insert(std::move(by_offset));
  spare_offsets_.pop_back();
  BySize::node_type& by_size = spare_sizes_.back();
  by_size.value() = {bytes, offset};
  free_by_size_.insert(std::move(by_size));
  spare_sizes_.pop_back();
}

void Arena::remove_free(ByOffset::iterator at) noexcept {
  spare_sizes_.push_back(free_by_size_.extract({at->second, at->first}));
  spare_offsets_.push_back(free_by_offset_.extract(at));
}

void Arena::give(int64_t offset, int64_t bytes) noexcept {
  --out_;
  const auto after = free_by_offset_.lower_bound(offset);
  const bool joins_after = after != free_by_offset_.end() && offset + bytes == after->first;
  if (after != free_by_offset_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
      remove_free(before);
    }
  }
  if (joins_after) {
    bytes += after->second;
    remove_free(after);
  }
  insert_free(offset, bytes);
}

DeviceMemory::DeviceMemory(bool backed) : backed_(backed) {
  if (!backed_) return;
  // Address space only: pages become real when first written. Smaller ranges are tried where a limit forbids a large one.
  for (range_ = int64_t{1} << 42; range_ >= int64_t{1} << 28; range_ /= 2) {
    void* base = mmap(nullptr, static_cast<size_t>(range_), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base != MAP_FAILED) {
      // Kernels that stream panels through the caches lose several percent to page boundaries and to small pages that
      // meet in one cache set. A system that refuses has small pages: nothing to report.
      madvise(base, static_cast<size_t>(range_), MADV_HUGEPAGE);
      base_ = static_cast<char*>(base);
      return;
    }
  }
  fail("[memory] the system refuses {} bytes of address space\n  hint: raise the limit on virtual memory (ulimit -v)", range_ * 2);
}

DeviceMemory::~DeviceMemory() {
  if (base_) munmap(base_, static_cast<size_t>(range_));
}

DeviceMemory::Block DeviceMemory::allocate(int64_t requested) {
  const std::lock_guard lock(mutex_);
  if (fail_in_ > 0 && --fail_in_ == 0) fail("[memory] allocation of {} bytes failed (injected)", requested);
  constexpr int64_t kNoLimit = (int64_t{1} << 62) - 1;
  const int64_t limit = backed_ ? range_ : kNoLimit;
  Block block;
  block.bytes = requested <= limit ? round_up(requested) : requested;
  block.family = current_family;
  block.offset = requested <= limit ? arena_.take(block.bytes, limit) : -1;
  if (block.offset < 0) {
    fail("[memory] no room for a tensor of {} bytes: {} bytes are live in an address range of {}\n"
           "  hint: `longhaul plan` shows what needs the memory", requested, report_.total_live, limit);
  }
  if (backed_) {
    block.data = base_ + block.offset;
    LONGHAUL_UNPOISON(block.data, block.bytes);
  }
  const int family = static_cast<int>(block.family);
  report_.live[family] += block.bytes;
  report_.total_live += block.bytes;
  report_.peak[family] = std::max(report_.peak[family], report_.live[family]);
  if (report_.total_live > report_.total_peak) {
    report_.total_peak = report_.total_live;
    report_.at_peak = report_.live;
  }
  return block;
}

void DeviceMemory::release(const Block& block) noexcept {
  const std::lock_guard lock(mutex_);
  if (backed_) LONGHAUL_POISON(block.data, block.bytes);
  arena_.give(block.offset, block.bytes);
  report_.live[static_cast<int>(block.family)] -= block.bytes;
  report_.total_live -= block.bytes;
}

MemoryReport DeviceMemory::report() const {
  const std::lock_guard lock(mutex_);
  MemoryReport out = report_;
  out.reserved = arena_.reserved();
  out.system_requests = arena_.growths();
  return out;
}

void DeviceMemory::reset_peak() {
  const std::lock_guard lock(mutex_);
  report_.peak = report_.live;
  report_.at_peak = report_.live;
  report_.total_peak = report_.total_live;
}

void DeviceMemory::fail_at(int64_t n) {
  const std::lock_guard lock(mutex_);
  fail_in_ = n;
}

DeviceMemory& device_memory(Device device) {
  // Never destroyed: tensors held by other static objects may outlive any order of destruction.
  static DeviceMemory* host = new DeviceMemory(true);
  static DeviceMemory* meta = new DeviceMemory(false);
  if (device.is_meta()) return current_meta ? *current_meta : *meta;
  if (!device.is_host()) fail("[memory] device {} is not loaded", name_of(device));
  return *host;
}

MetaMemoryScope::MetaMemoryScope() : previous_(current_meta) { current_meta = &memory_; }
MetaMemoryScope::~MetaMemoryScope() { current_meta = previous_; }

}  // namespace longhaul
