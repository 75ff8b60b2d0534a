#include <cstdlib>
#include <new>

#include "framework/tensor/memory.h"
#include "tests/support/folder_test.h"
#include "tests/support/tiny_run.h"

namespace {

// Allocations of this thread until one fails; negative: none fails.
thread_local int64_t g_left = -1;

void* allocate(size_t bytes) {
  if (g_left >= 0 && g_left-- == 0) throw std::bad_alloc();
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(size_t bytes) { return allocate(bytes); }
void* operator new[](size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace longhaul::checkpoint {
namespace {

/// Runs `work` with the n-th allocation failing; true when it got through without one.
template <typename Work>
bool survives(int64_t n, Work&& work) {
  bool done = false;
  g_left = n;
  try {
    work();
    done = true;
  } catch (const std::bad_alloc&) {
  } catch (const Error&) {
    // Out of memory inside a library may come back as that library's error.
  }
  const bool unused = g_left >= 0;
  g_left = -1;
  return done && unused;
}

class AllocationTest : public FolderTest {};

TEST_F(AllocationTest, ASaveOutOfMemoryLeavesTheOldCheckpointAndNoPartOfANewOne) {
  TinyRun::save(folder_, 10);
  TinyRun run;
  run.set_step(20);
  const CheckpointContent content = run.content();
  int64_t points = 0;
  for (bool through = false; !through; ++points) {
    through = survives(points, [&] { save_checkpoint(folder_, content, {.keep = 2, .pinned = {}}); });
    const int64_t recovered = TinyRun::recovered_step(folder_);
    ASSERT_TRUE(recovered == 10 || recovered == 20) << points << ": " << recovered;
    if (recovered == 20) {
      ASSERT_TRUE(verify(folder_ / folder_name(20)).empty());
    }
    io::remove_all(folder_ / folder_name(20));
    remove_leftovers(folder_);
    ASSERT_EQ(io::list(folder_), std::vector<std::string>{folder_name(10)}) << points;
  }
  EXPECT_GT(points, 200);
}

TEST_F(AllocationTest, ALoadOutOfMemoryIsAnErrorAndNothingLeaks) {
  TinyRun::save(folder_, 10);
  TinyRun run;
  const int64_t live = device_memory(Device::cpu()).report().total_live;
  int64_t points = 0;
  for (bool through = false; !through; ++points) {
    through = survives(points, [&] {
      const auto found = find_newest_sound(folder_);
      load_checkpoint(found->folder, run.registry());
    });
    ASSERT_EQ(device_memory(Device::cpu()).report().total_live, live) << points;
  }
  EXPECT_EQ(run.hash(), TinyRun::hash_at(10));
  EXPECT_GT(points, 200);
}

}  // namespace
}  // namespace longhaul::checkpoint
