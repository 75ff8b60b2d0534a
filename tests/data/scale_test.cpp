// Odd sizes: memory does not follow them. The long tier takes the sizes of the promise (1 GB, a million, 100,000).
#include <sys/resource.h>

#include <charconv>

#include "framework/base/child.h"
#include "tests/data/scratch.h"
#include "tests/support/sanitizers.h"
#include "tests/support/tier.h"

namespace longhaul::data {
namespace {

// What sanitizers keep for themselves.
constexpr int64_t kOverhead = longhaul::testing::kSanitized ? int64_t{1} << 30 : 0;
constexpr int64_t kMost = (int64_t{256} << 20) + kOverhead;

int64_t resident() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss * 1024;
}

struct Work {
  int64_t grown = 0;   // bytes by which the process grew
  int64_t result = 0;  // of the work
};

/// Does the work in a process of its own.
template <typename F>
Work in_child(F work) {
  const std::string answer = run_in_child("a test", [&] {
    const int64_t before = resident();
    const int64_t result = work();
    return fmt::format("{} {}", resident() - before, result);
  });
  Work out;
  const char* end = answer.data() + answer.size();
  const auto first = std::from_chars(answer.data(), end, out.grown);
  std::from_chars(first.ptr + 1, end, out.result);
  return out;
}

int64_t tokens_of(const Scratch& s, const DataEntry& e) {
  return open_split("train", {e}, bytes_tokenizer(), s.options())->tokens();
}

TEST(Scale, OneLineWithoutEnd) {
  const Scratch s;
  const int64_t megabytes = longhaul::testing::nightly() ? 1024 : 64;
  const std::string piece(1 << 20, 'x');
  {
    std::ofstream out(s.path("line.txt"), std::ios::binary);
    for (int64_t i = 0; i < megabytes; ++i) out << piece;
  }
  for (const DocumentMode mode : {DocumentMode::kFile, DocumentMode::kLine, DocumentMode::kBlankLine}) {
    DataEntry e = entry(s.path("line.txt"));
    e.document = mode;
    const Work work = in_child([&] { return tokens_of(s, e); });
    EXPECT_EQ(work.result, megabytes << 20);
    EXPECT_LT(work.grown, kMost);
  }
}

TEST(Scale, DocumentsWithoutText) {
  const Scratch s;
  const int64_t documents = longhaul::testing::nightly() ? 1'000'000 : 200'000;
  std::string rows = "text\n";
  for (int64_t i = 0; i < documents; ++i) rows += "\n";
  const std::string path = s.write("empty.tsv", rows + "one\n");
  const Work work = in_child([&] { return tokens_of(s, entry(path)); });
  EXPECT_EQ(work.result, 3);
  EXPECT_LT(work.grown, kMost);
}

TEST(Scale, ManyFiles) {
  const Scratch s;
  const int64_t files = longhaul::testing::nightly() ? 100'000 : 3'000;
  for (int64_t i = 0; i < files; ++i) s.write(fmt::format("many/{:06}.txt", i), "a");
  const Work work = in_child([&] { return tokens_of(s, entry(s.path("many"))); });
  EXPECT_EQ(work.result, files);
  EXPECT_LT(work.grown, kMost);
}

/// A file that unpacks to a thousand times its size is read as a stream.
TEST(Scale, ABombIsReadInPieces) {
  const Scratch s;
  const int64_t size = int64_t{1} << (longhaul::testing::nightly() ? 30 : 27);
  std::string packed;
  {
    const std::string text(static_cast<size_t>(size), '\0');
    packed = gzipped(text);
  }
  ASSERT_GT(size, 900 * static_cast<int64_t>(packed.size()));
  const std::string path = s.write("bomb.gz", packed);
  CorpusOptions any_bytes;
  any_bytes.invalid_utf8 = InvalidUtf8::kKeep;
  const Work work = in_child([&] {
    int64_t bytes = 0;
    corpus_text({entry(path)}, any_bytes)([&](std::string_view piece) { bytes += static_cast<int64_t>(piece.size()); });
    return bytes;
  });
  EXPECT_EQ(work.result, size);
  EXPECT_LT(work.grown, (int64_t{64} << 20) + kOverhead);
}

TEST(Scale, ADocumentOfOneByte) {
  const Scratch s;
  const auto source = open_split("train", {entry(s.write("one.txt", "x"))}, bytes_tokenizer(), s.options());
  EXPECT_EQ(source->tokens(), 1);
  EXPECT_EQ(source->documents(), 1);
}

/// Files that change while they are read are noticed: their size and time are compared at both ends of the reading.
TEST(Scale, AFileThatChangesWhileItIsReadIsNamed) {
  for (const auto& change : std::vector<std::function<void(const std::string&)>>{
           [](const std::string& path) { std::ofstream(path, std::ios::app) << "more"; },
           [](const std::string& path) { std::filesystem::resize_file(path, 1 << 20); },
       }) {
    const Scratch s;
    const std::string path = s.write("t.txt", std::string(4 << 20, 'a'));
    const TextSource text = corpus_text({entry(path)}, {});
    const std::string message = message_of<DataError>([&] {
      int64_t pieces = 0;
      text([&](std::string_view) {
        if (++pieces == 2) change(path);
      });
    });
    EXPECT_NE(message.find(path + " changed while it was read"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace longhaul::data
