#include "framework/checkpoint/folders.h"
#include "tests/allocation/failing_new.h"
#include "tests/support/folder_test.h"
#include "tests/support/tiny_run.h"

namespace longhaul::checkpoint {
namespace {

using longhaul::testing::each_allocation_fails;

class AllocationTest : public FolderTest {};

TEST_F(AllocationTest, ASaveOutOfMemoryLeavesTheOldCheckpointAndNoPartOfANewOne) {
  TinyRun::save(folder_, 10);
  TinyRun run;
  run.set_step(20);
  const CheckpointContent content = run.content();
  const int64_t points = each_allocation_fails(
      [&] { save_checkpoint(folder_, content, {.keep = 2, .pinned = {}}); },
      [&](int64_t n) {
        const int64_t recovered = TinyRun::recovered_step(folder_);
        ASSERT_TRUE(recovered == 10 || recovered == 20) << n << ": " << recovered;
        if (recovered == 20) {
          ASSERT_TRUE(verify(folder_ / folder_name(20)).empty());
        }
        io::remove_all(folder_ / folder_name(20));
        remove_leftovers(folder_);
        ASSERT_EQ(io::list(folder_), std::vector<std::string>{folder_name(10)}) << n;
      });
  EXPECT_GT(points, 200);
}

TEST_F(AllocationTest, ALoadOutOfMemoryIsAnErrorAndNothingLeaks) {
  TinyRun::save(folder_, 10);
  TinyRun run;
  const int64_t points = each_allocation_fails(
      [&] {
        const auto found = find_newest_sound(folder_);
        load_checkpoint(found->folder, run.registry());
      },
      [](int64_t) {});
  EXPECT_EQ(run.hash(), TinyRun::hash_at(10));
  EXPECT_GT(points, 200);
}

}  // namespace
}  // namespace longhaul::checkpoint
