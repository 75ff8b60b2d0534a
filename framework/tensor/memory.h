// defines: MemoryFamily, MemoryScope, MemoryReport, Arena, DeviceMemory, device_memory, MetaMemoryScope
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/tensor/device.h"

namespace longhaul {

/// What a tensor is for; every allocation belongs to one family and reports are given by family.
enum class MemoryFamily : uint8_t { kParameters, kGradients, kOptimizer, kActivations, kWorkspace, kState };
inline constexpr int kMemoryFamilies = 6;
std::string_view name_of(MemoryFamily family);

/// Allocations of this thread belong to `family` while the scope lives; the default is kActivations.
class MemoryScope {
 public:
  explicit MemoryScope(MemoryFamily family);
  ~MemoryScope();
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;
  static MemoryFamily current();

 private:
  MemoryFamily previous_;
};

/// Bytes of tensors, each rounded up to 64. `reserved` is what was taken from the system; it never shrinks.
struct MemoryReport {
  std::array<int64_t, kMemoryFamilies> live{};     // now
  std::array<int64_t, kMemoryFamilies> peak{};     // largest of each family on its own
  std::array<int64_t, kMemoryFamilies> at_peak{};  // of each family when the total was largest
  int64_t total_live = 0;
  int64_t total_peak = 0;
  int64_t reserved = 0;
  int64_t system_requests = 0;  // how often memory was taken from the system
};

/// Best fit with coalescing inside one growing address range; only offsets are known here, so the same object serves
/// real memory and the planner, which therefore agree on `reserved`. Deterministic for a given sequence of calls.
/// Giving back runs in destructors, so it may not need memory itself: every block that is out has a spare node here.
class Arena {
 public:
  static constexpr int64_t kAlignment = 64;
  /// Offset of a block that ends at `limit` or before; `bytes` is a multiple of kAlignment. -1, and nothing has changed,
  /// when there is none; nothing has changed when it throws.
  int64_t take(int64_t bytes, int64_t limit);
  void give(int64_t offset, int64_t bytes) noexcept;
  int64_t reserved() const { return top_; }
  int64_t growths() const { return growths_; }

 private:
  using ByOffset = std::map<int64_t, int64_t>;
  using BySize = std::set<std::pair<int64_t, int64_t>>;  // (bytes, offset)
  void insert_free(int64_t offset, int64_t bytes) noexcept;
  void remove_free(ByOffset::iterator at) noexcept;
  void provide_spares();
  ByOffset free_by_offset_;
  BySize free_by_size_;
  std::vector<ByOffset::node_type> spare_offsets_;  // at least one a block that is out, and room for all
  std::vector<BySize::node_type> spare_sizes_;
  size_t nodes_ = 0;  // free blocks and spares
  size_t out_ = 0;    // blocks that were taken and not given back
  int64_t top_ = 0;
  int64_t growths_ = 0;
};

/// The memory of one device: hands out 64-byte-aligned blocks, keeps freed ones for reuse, counts by family.
/// Thread-safe. Throws FailureError when the address range is exhausted or an injected failure is due.
class DeviceMemory {
 public:
  /// `backed` false: offsets only (meta); pointers are null.
  explicit DeviceMemory(bool backed);
  ~DeviceMemory();

  struct Block {
    void* data = nullptr;
    int64_t offset = 0;
    int64_t bytes = 0;  // rounded up
    MemoryFamily family = MemoryFamily::kActivations;
  };
  Block allocate(int64_t bytes);
  void release(const Block& block) noexcept;

  MemoryReport report() const;
  /// Peaks restart from what is live now.
  void reset_peak();
  /// Test hook: the n-th allocation from now on fails (1 = the next); 0 switches it off.
  void fail_at(int64_t n);

 private:
  mutable std::mutex mutex_;
  Arena arena_;
  MemoryReport report_;
  char* base_ = nullptr;
  int64_t range_ = 0;
  int64_t fail_in_ = 0;
  bool backed_;
};

/// The memory of a device; the host devices share one, meta has its own.
DeviceMemory& device_memory(Device device);

/// Makes a private meta memory current on this thread while it lives, so that a plan counts only itself.
class MetaMemoryScope {
 public:
  MetaMemoryScope();
  ~MetaMemoryScope();
  MetaMemoryScope(const MetaMemoryScope&) = delete;
  MetaMemoryScope& operator=(const MetaMemoryScope&) = delete;

 private:
  DeviceMemory memory_{false};
  DeviceMemory* previous_;
};

}  // namespace longhaul
