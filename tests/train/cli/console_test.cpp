#include "train/cli/console.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace longhaul::cli {
namespace {

struct Spoken {
  std::string out, err;
};

std::string content(std::FILE* file) {
  std::rewind(file);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

Spoken speak(const Console::Options& options, const std::function<void(Console&)>& body) {
  std::FILE *out = std::tmpfile(), *err = std::tmpfile();
  {
    Console console(options, out, err);
    body(console);
  }
  return {content(out), content(err)};
}

TEST(ConsoleOutput, ResultsAndTalkAreApart) {
  const Spoken got = speak({}, [](Console& c) {
    c.note("reading");
    c.result("42");
    c.stream("a");
    c.stream("b");
    c.warn("careful");
  });
  EXPECT_EQ(got.out, "42\nab");
  EXPECT_EQ(got.err, "reading\nwarning: careful\n");
}

TEST(ConsoleOutput, QuietKeepsResultsAndWarnings) {
  const Spoken got = speak({.verbosity = Verbosity::kQuiet}, [](Console& c) {
    c.note("reading");
    c.progress("1 of 2");
    c.result("42");
    c.warn("careful");
  });
  EXPECT_EQ(got.out, "42\n");
  EXPECT_EQ(got.err, "warning: careful\n");
}

TEST(ConsoleOutput, ProgressIsPlainLinesWithoutATerminal) {
  const Spoken got = speak({}, [](Console& c) {
    c.progress("1 of 2");
    c.progress("2 of 2");
  });
  EXPECT_EQ(got.err, "1 of 2\n2 of 2\n");
}

TEST(ConsoleOutput, ALiveLineIsRewrittenAndEndsBeforeOtherOutput) {
  const Spoken got = speak({.live = true}, [](Console& c) {
    c.progress("10 of 20");
    c.progress("9");
    c.note("done");
  });
  EXPECT_EQ(got.err, "\r10 of 20\r9       \ndone\n");
}

}  // namespace
}  // namespace longhaul::cli
