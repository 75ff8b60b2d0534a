#include "framework/checkpoint/journal.h"

#include <bit>

#include "framework/base/io_faults.h"
#include "framework/base/sha256.h"
#include "tests/support/folder_test.h"

namespace longhaul::checkpoint {
namespace {

class JournalTest : public FolderTest {
 protected:
  static JournalEntry entry(int64_t step) {
    return {.step = step,
            .loss = 1.0 / static_cast<double>(step + 2),
            .cursor = 8 * step,
            .state_hash = step % 4 == 0 ? std::string(64, 'a') : ""};
  }
  void write(int64_t from, int64_t to) {
    JournalWriter journal(path_);
    for (int64_t step = from; step <= to; ++step) journal.append(entry(step));
    journal.sync();
  }
  void SetUp() override {
    FolderTest::SetUp();
    path_ = at("journal.jsonl");
  }
  io::Path path_;
};

TEST_F(JournalTest, ALineHoldsWhatIsPromised) {
  write(1, 1);
  const std::string first =
      "{\"step\":1,\"loss\":\"3fd5555555555555\",\"cursor\":8,\"previous\":\"" + std::string(64, '0') + "\"}\n";
  EXPECT_EQ(io::read_file(path_), first);
  write(2, 2);
  EXPECT_EQ(io::read_file(path_), first + "{\"step\":2,\"loss\":\"3fd0000000000000\",\"cursor\":16,\"previous\":\"" +
                                      sha256_hex(first) + "\"}\n");
}

TEST_F(JournalTest, EntriesComeBackWithTheirBits) {
  write(1, 9);
  const std::vector<JournalEntry> entries = read_journal(path_);
  ASSERT_EQ(entries.size(), 9u);
  for (int64_t step = 1; step <= 9; ++step) {
    const JournalEntry& read = entries[static_cast<size_t>(step - 1)];
    EXPECT_EQ(read.step, step);
    EXPECT_EQ(std::bit_cast<uint64_t>(read.loss), std::bit_cast<uint64_t>(entry(step).loss));
    EXPECT_EQ(read.cursor, 8 * step);
    EXPECT_EQ(read.state_hash, entry(step).state_hash);
  }
}

TEST_F(JournalTest, CutAndContinuedItEqualsTheUnbrokenOne) {
  write(1, 20);
  const std::string unbroken = io::read_file(path_);
  for (int64_t cut = 0; cut <= 20; ++cut) {
    for (const int64_t torn : {0, 1, 40}) {
      io::remove_all(path_);
      write(1, 15);
      io::File::append(path_).write(
          std::string("{\"step\":16,\"loss\":\"3fd555555555555555555").substr(0, static_cast<size_t>(torn)));
      const int64_t last = std::min<int64_t>(cut, 15);
      cut_lines(path_, cut);
      EXPECT_EQ(JournalWriter(path_).last_step(), last);
      write(last + 1, 20);
      ASSERT_EQ(io::read_file(path_), unbroken) << cut;
    }
  }
}

TEST_F(JournalTest, CuttingIsOldOrNewWhateverFails) {
  for (int64_t n = 1;; ++n) {
    io::remove_all(path_);
    write(1, 9);
    const std::string before = io::read_file(path_);
    bool hit = false;
    {
      const io::FaultScope faults({.at = n, .persistent = true, .error = EIO});
      try {
        cut_lines(path_, 5);
      } catch (const IoError&) {
      }
      hit = faults.hits() > 0;
    }
    const size_t entries = read_journal(path_).size();
    EXPECT_TRUE(entries == 9 || entries == 5) << entries;
    if (!hit) break;
  }
}

TEST_F(JournalTest, ALineThatDidNotFitIsTakenBack) {
  JournalWriter journal(path_);
  journal.append(entry(1));
  const std::string before = io::read_file(path_);
  {
    const io::FaultScope faults({.at = 2, .error = ENOSPC, .only = "write", .seed = 1, .short_transfers = true});
    EXPECT_THROW(journal.append(entry(2)), IoError);
    EXPECT_EQ(faults.hits(), 1);
  }
  EXPECT_EQ(io::read_file(path_), before);
  journal.append(entry(2));
  EXPECT_EQ(read_journal(path_).size(), 2u);
}

TEST_F(JournalTest, AnyChangedLineBreaksTheChain) {
  write(1, 5);
  const std::string text = io::read_file(path_);
  const size_t second = text.find('\n') + 1;
  const size_t third = text.find('\n', second) + 1;
  const std::string broken = "[journal] " + path_.string() +
                             ":3: the hash of the line before does not match: a line was changed, added or removed";
  std::string changed = text;
  changed[second + 8] = '7';
  io::replace_file(path_, changed);
  EXPECT_EQ(message_of([&] { read_journal(path_); }), broken);
  io::replace_file(path_, text.substr(0, second) + text.substr(third));
  EXPECT_EQ(message_of([&] { JournalWriter journal(path_); }),
            "[journal] " + path_.string() +
                ":2: the hash of the line before does not match: a line was changed, added or removed");
  io::replace_file(path_, text.substr(0, third) + text.substr(second));
  EXPECT_EQ(message_of([&] { read_journal(path_); }), broken);
  io::replace_file(path_, text.substr(0, text.size() - 1));
  EXPECT_EQ(message_of([&] { read_journal(path_); }),
            "[journal] " + path_.string() +
                ": the last line has no end\n  hint: resuming a run cuts the journal to its checkpoint");
}

TEST_F(JournalTest, MetricsAreCutTheSameWay) {
  io::write_new_file(at("metrics.jsonl"), "{\"step\":10,\"loss\":1.5}\n{\"step\":20}\n{\"step\":30}\n{\"st");
  cut_lines(at("metrics.jsonl"), 20);
  EXPECT_EQ(io::read_file(at("metrics.jsonl")), "{\"step\":10,\"loss\":1.5}\n{\"step\":20}\n");
  cut_lines(at("missing.jsonl"), 20);
  EXPECT_FALSE(io::exists(at("missing.jsonl")));
}

TEST_F(JournalTest, ALineThatIsNoStepIsAnError) {
  io::write_new_file(path_, "{\"step\":1}\nhello\n");
  EXPECT_EQ(message_of([&] { cut_lines(path_, 5); }),
            "[journal] " + path_.string() + ":2: the line is not a JSON object with a whole number \"step\"");
  io::replace_file(path_, "{\"step\":1,\"previous\":\"" + std::string(64, '0') + "\"}\n");
  EXPECT_EQ(message_of([&] { read_journal(path_); }),
            "[journal] " + path_.string() + ":1: the line has no loss of 16 hexadecimal digits or no cursor");
}

}  // namespace
}  // namespace longhaul::checkpoint
