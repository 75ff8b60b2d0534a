#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/train/config/workspace.h"
#include "train/config/prescan.h"

namespace longhaul::config {
namespace {

std::string repeated(const std::string& text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ConfigLimits, AFileOfMoreThanAMebibyteIsRefusedUnread) {
  EXPECT_NE(
      error_of("run: {name: " + std::string(size_t{1} << 20, 'x') + "}").find("a configuration has at most 1048576"),
      std::string::npos);
}

TEST(ConfigLimits, AliasBombsAreRefusedBeforeTheyGrow) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  char last = 'a';
  for (char name = 'b'; name <= 'i'; ++name) {
    bomb += std::string(1, name) + ": &" + name + " [" + repeated(std::string("*") + last + ",", 10) + "]\n";
    last = name;
  }
  EXPECT_NE(error_of(bomb).find("more than 100000 values after aliases are expanded"), std::string::npos);
}

TEST(ConfigLimits, AnchorsAroundAnchorsCountAsWhatTheyHold) {
  std::string nested = "data: ";
  for (int i = 0; i < 40; ++i) nested += fmt::format("&a{} [", i);
  nested += repeated("x,", 5000) + repeated("]", 40);
  EXPECT_NE(error_of(nested).find("more than 100000 values"), std::string::npos);
}

TEST(ConfigLimits, BombsSpreadOverFilesCountTogether) {
  Workspace space;
  std::string bases;
  for (int i = 0; i < 3; ++i) {
    const std::string name = "base" + std::to_string(i) + ".yaml";
    space.write(name, "x: [" + repeated("1,", 40000) + "]\n");
    bases += name + ", ";
  }
  space.write("run.yaml", "extends: [" + bases + "]\n");
  try {
    load_config("run.yaml");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("more than 100000 values"), std::string::npos) << error.what();
  }
}

TEST(ConfigLimits, DepthIsRefusedWhateverTheStyle) {
  const std::string deep = "more than 64 levels of nesting";
  for (const char* unit : {"[", "{a: ", "- ", "? ", "[[{a: "}) {
    for (const size_t times : {size_t{70}, size_t{10000}, size_t{170000}}) {
      EXPECT_NE(error_of(repeated(unit, times)).find(deep), std::string::npos) << unit << " x " << times;
    }
  }
  std::string block;
  for (size_t i = 0; i < 1000; ++i) block += std::string(i, ' ') + "a:\n";
  EXPECT_NE(error_of(block).find(deep), std::string::npos);
  std::string quoted = kLeast + "run: {name: \"" + repeated("[", 1000) + "\"}\n";
  EXPECT_EQ(load_text(quoted).config.run.name.size(), 1000u) << "brackets inside a text are text";
}

TEST(ConfigLimits, ManyKeysAreRefused) {
  std::string keys;
  for (int i = 0; i < 120000; ++i) keys += "a" + std::to_string(i) + ":\n";
  EXPECT_NE(error_of(keys).find("run.yaml:1001:1: more than 1000 keys in one mapping"), std::string::npos);
  std::string anchors = "a: [";
  for (int i = 0; i < 2000; ++i) anchors += "&a" + std::to_string(i) + " x, ";
  EXPECT_NE(error_of(anchors + "]\n").find("more than 1000 anchors"), std::string::npos);
  std::string entries = "data:\n  train:\n";
  for (int i = 0; i < 20000; ++i) entries += "  - {pth: x, prat: y}\n";
  EXPECT_NE(error_of(entries).find("[config] 40001 errors"), std::string::npos);
}

TEST(ConfigLimits, LongChainsOfFilesAreRefused) {
  Workspace space;
  for (int i = 0; i < 100; ++i) {
    space.write("f" + std::to_string(i) + ".yaml", "extends: f" + std::to_string(i + 1) + ".yaml\n");
  }
  space.write("f100.yaml", kLeast);
  try {
    load_config("f0.yaml");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("more than 64 files"), std::string::npos) << error.what();
  }
}

// Whatever the bytes, the answer is a configuration or an error that says where.
TEST(ConfigLimits, CutAndChangedTextsNeverCrash) {
  const std::string text =
      "extends: []\nrun: {name: \"a b\", seed: 3}\ndata:\n  train: [a.txt, {path: 'b', part: 0%..90%}]\n"
      "train:\n  steps: 10\n  optimizer: {betas: [0.9, 0.99]}\n  stages:\n    - steps: 3\n      model: {dropout: "
      "0.1}\n";
  Workspace space;
  const auto attempt = [&](const std::string& changed) {
    space.write("run.yaml", changed);
    try {
      load_config("run.yaml");
    } catch (const ConfigError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("[config] ")) << error.what();
    }
  };
  for (size_t n = 0; n < text.size(); ++n) attempt(text.substr(0, n));
  uint32_t state = 1;
  const std::string bytes = "{}[]:,-&*!|>'\"%@`#?\n\t \\~<\x80\xff$";
  for (int i = 0; i < 1500; ++i) {
    std::string changed = text;
    for (int edit = 0; edit < 3; ++edit) {
      state = state * 1664525u + 1013904223u;
      changed[(state >> 8) % changed.size()] = bytes[(state >> 4) % bytes.size()];
    }
    attempt(changed);
  }
}

}  // namespace
}  // namespace longhaul::config
