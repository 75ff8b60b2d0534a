// Checkpoints of earlier format versions load for ever: one of each is kept in golden/.
#include "tests/support/folder_test.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_run.h"

namespace longhaul::checkpoint {
namespace {

TEST(GoldenCheckpoints, EachFormatVersionLoads) {
  const io::Path golden = io::Path(source_folder()) / "tests/framework/checkpoint/golden";
  int versions = 0;
  for (const std::string& name : io::list(golden)) {
    const auto found = find_newest_sound(golden / name, true);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->step, 7);
    EXPECT_EQ(found->manifest.cursor, 56);
    TinyRun run;
    load_checkpoint(found->folder, run.registry());
    EXPECT_EQ(run.hash(), TinyRun::hash_at(7)) << name;
    EXPECT_EQ(run.step(), 7);
    ++versions;
  }
  EXPECT_EQ(versions, kFormatVersion) << "a new format version needs its own golden checkpoint";
}

}  // namespace
}  // namespace longhaul::checkpoint
