// defines: FailingNew, each_allocation_fails
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>

#include "framework/base/error.h"
#include "framework/tensor/memory.h"
#include "tests/support/tier.h"

namespace longhaul::testing {

/// While it lives, the n-th allocation of this thread (0 = the next) throws std::bad_alloc. Allocations that oneDNN and
/// OpenMP make for themselves do not count: what those libraries do without memory is theirs. Nor do those of a
/// nlohmann::json that is destroyed: it needs memory and cannot do without; the program then ends by its message.
class FailingNew {
 public:
  explicit FailingNew(int64_t n);
  ~FailingNew();
  FailingNew(const FailingNew&) = delete;
  FailingNew& operator=(const FailingNew&) = delete;
  /// Whether the allocation that was to fail has been asked for.
  static bool hit();
};

/// Runs `work` again and again, with its first, second, ... allocation failing, until it gets through without one.
/// Each failure must come back as std::bad_alloc or an Error. `check` looks at what each run left and tidies up; after
/// it no more tensors are alive than at the start. Returns the number of the first allocation that was not asked for.
/// With a stride only every so-manieth fails, except in the long tier.
inline int64_t each_allocation_fails(const std::function<void()>& work, const std::function<void(int64_t)>& check,
                                     int64_t stride = 1) {
  if (nightly()) stride = 1;
  const int64_t live = device_memory(Device::cpu()).report().total_live;
  for (int64_t n = 0;; n += stride) {
    bool done = false;
    bool unused = false;
    {
      const FailingNew failing(n);
      try {
        work();
        done = true;
      } catch (const std::bad_alloc&) {
      } catch (const Error&) {  // out of memory inside a library may come back as its error
      }
      unused = !FailingNew::hit();
    }
    check(n);
    EXPECT_EQ(device_memory(Device::cpu()).report().total_live, live) << "allocation " << n << " failed";
    if (::testing::Test::HasFailure() || unused) {
      EXPECT_TRUE(done) << "it fails with enough memory";
      return n;
    }
  }
}

}  // namespace longhaul::testing
