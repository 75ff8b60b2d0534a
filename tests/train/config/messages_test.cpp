#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/paths.h"
#include "tests/train/config/workspace.h"
#include "train/config/catalogue.h"

namespace longhaul::config {
namespace {

// A case of messages/*.txt:
//   === name            (=== escaped name: \n-style escapes in the file's text stand for bytes)
//   text of run.yaml
//   --- file NAME       text of another file
//   --- set KEY=VALUE   an override
//   --- message         the whole message
struct Case {
  std::string name, yaml, message;
  std::vector<std::pair<std::string, std::string>> files;
  std::vector<std::string> overrides;
  bool escaped = false;
};

std::vector<Case> read_cases(const std::string& file) {
  std::ifstream stream(source_folder() + "/tests/train/config/messages/" + file);
  std::vector<Case> cases;
  std::string* into = nullptr;
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("=== ")) {
      cases.emplace_back();
      cases.back().name = line.substr(4);
      cases.back().escaped = line.starts_with("=== escaped ");
      into = &cases.back().yaml;
    } else if (line.starts_with("--- file ")) {
      cases.back().files.emplace_back(line.substr(9), "");
      into = &cases.back().files.back().second;
    } else if (line.starts_with("--- set ")) {
      cases.back().overrides.push_back(line.substr(8));
    } else if (line == "--- message") {
      into = &cases.back().message;
    } else {
      *into += line + "\n";
    }
  }
  for (Case& one : cases) one.message.pop_back();
  return cases;
}

std::string unescaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    if (kind == 'x') {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += kind == 't' ? '\t' : kind == 'r' ? '\r' : kind;
    }
  }
  return out;
}

class Messages : public testing::TestWithParam<const char*> {};

TEST_P(Messages, AreTheWholeTextThatIsPromised) {
  const std::vector<Case> cases = read_cases(GetParam());
  ASSERT_GT(cases.size(), 10u);
  unsetenv("LONGHAUL_TEST_UNSET");
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    Workspace space;
    space.write("run.yaml", one.escaped ? unescaped(one.yaml) : one.yaml);
    for (const auto& [name, text] : one.files) space.write(name, text);
    try {
      load_config("run.yaml", one.overrides);
      ADD_FAILURE() << "loaded without an error";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.what(), one.message);
      EXPECT_EQ(error.exit_code(), 2);
    }
  }
}

// Every message that says what to read next says something that can be read.
TEST_P(Messages, NameKeysThatExplainKnows) {
  for (const Case& one : read_cases(GetParam())) {
    const size_t at = one.message.find("config explain ");
    if (at == std::string::npos) continue;
    std::string key = one.message.substr(at + 15);
    key = key.substr(0, key.find_first_of(" \n"));
    EXPECT_NO_THROW(explain_key(key)) << one.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Messages,
                         testing::Values("types.txt", "unknown.txt", "conflicts.txt", "encoders.txt", "sources.txt", "yaml.txt"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(ConfigMessages, ManyProblemsAreCounted) {
  std::string yaml = kLeast + "run:\n";
  for (int i = 0; i < 80; ++i) yaml += "  wrong" + std::to_string(i) + ": 1\n";
  const std::string message = error_of(yaml);
  EXPECT_NE(message.find("[config] 80 errors in run.yaml"), std::string::npos);
  EXPECT_NE(message.find("and 30 more"), std::string::npos);
}

TEST(ConfigMessages, AMissingFileIsNamed) {
  Workspace space;
  try {
    load_config("nowhere.yaml");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "[config] 1 error in nowhere.yaml, nothing was created\n  nowhere.yaml: no such file");
  }
}

TEST(ConfigMessages, AFolderIsNoConfiguration) {
  Workspace space;
  std::filesystem::create_directory("run.yaml");
  try {
    load_config("run.yaml");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(
        error.what(),
        "[config] 1 error in run.yaml, nothing was created\n  run.yaml: is a folder, not a configuration file");
  }
}

}  // namespace
}  // namespace longhaul::config
