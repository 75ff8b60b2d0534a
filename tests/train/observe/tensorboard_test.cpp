#include "train/observe/tensorboard.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/train/temporary_folder.h"
#include "train/observe/crc32c.h"

namespace longhaul::train {
namespace {

std::string hex(std::string_view bytes) {
  static const char* digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<uint8_t>(c) >> 4];
    out += digits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

TEST(Crc32c, AgreesWithThePublishedCheckValues) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);              // the catalogue's check value of CRC-32C
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);    // RFC 3720, B.4: 32 bytes of zeros
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);  // RFC 3720, B.4: 32 bytes of ones
  EXPECT_EQ(crc32c(""), 0u);
}

// The bytes that PyPI's tensorboard 2.21 writes for the same event.
TEST(TensorBoard, AnEventHasTheBytesOfThePublicWriter) {
  const std::string bytes =
      event_record({.wall_time = 1700000000.5, .step = 300, .scalars = {{"train/loss", 1.25f}, {"speed", -2.0f}}});
  EXPECT_EQ(hex(bytes),
            "2f000000000000006d5d1d500900002040fc54d94110ac022a210a110a0a747261696e2f6c6f7373150000a03f0a0c0a0573706565"
            "6415000000c01f05a7e9");
}

TEST(TensorBoard, AFileBeginsWithTheVersionOfThePublicWriter) {
  EXPECT_EQ(hex(version_record(1700000000.5)),
            "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110");
}

TEST(TensorBoard, AContinuedRunTellsFromWhichStepEarlierFilesAreVoid) {
  TemporaryFolder folder;
  TensorBoardFile first(folder.path() / "events", 1700000000, 0);
  TensorBoardFile second(folder.path() / "events", 1700000000, 17);
  EXPECT_NE(first.path(), second.path());
  const std::string fresh = io::read_file(first.path()), continued = io::read_file(second.path());
  EXPECT_EQ(fresh, version_record(1700000000));
  ASSERT_EQ(continued.substr(0, fresh.size()), fresh);
  EXPECT_EQ(hex(continued.substr(fresh.size())), "0f000000000000006d532b090900000040fc54d94110113a020801c6454107");
}

TEST(TensorBoard, EventsFollowEachOtherInTheFile) {
  TemporaryFolder folder;
  TensorBoardFile file(folder.path(), 1700000000, 0);
  const TensorBoardEvent event{.wall_time = 1700000001, .step = 1, .scalars = {{"a", 1}}};
  file.add(event);
  file.add(event);
  EXPECT_EQ(io::read_file(file.path()), version_record(1700000000) + event_record(event) + event_record(event));
}

}  // namespace
}  // namespace longhaul::train
