#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/paths.h"

namespace {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string out, err;
};

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// Runs the program in a folder of its own that holds run.yaml and a.txt.
class Program : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "longhaul-cli-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    logs_ = folder_.string() + ".logs";
    fs::create_directory(logs_);
    write("run.yaml", "data: {train: [a.txt]}\ntrain: {steps: 10}\n");
    write("a.txt", "some text\n");
  }
  void TearDown() override {
    fs::remove_all(folder_);
    fs::remove_all(logs_);
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  Outcome run(const std::string& arguments, const std::string& environment = "") const {
    const std::string command = "cd '" + folder_.string() + "' && " + environment + " '" + longhaul::program_path() + "' " +
                                arguments + " >'" + logs_.string() + "/out' 2>'" + logs_.string() + "/err' </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(logs_ / "out"), read_file(logs_ / "err")};
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  fs::path folder_, logs_;
};

TEST_F(Program, VersionNamesRevisionCompilerDevicesAndTransports) {
  const Outcome got = run("--version");
  EXPECT_EQ(got.code, 0);
  EXPECT_TRUE(got.out.starts_with("longhaul ")) << got.out;
  for (const char* word : {"revision", "compiler", "devices", "reference", "cpu", "transports"}) {
    EXPECT_NE(got.out.find(word), std::string::npos) << word;
  }
  EXPECT_EQ(got.err, "");
}

TEST_F(Program, HelpShowsCommandsFlagsExitCodesAndAnExample) {
  for (const char* arguments : {"--help", "-h"}) {
    const Outcome got = run(arguments);
    EXPECT_EQ(got.code, 0);
    EXPECT_EQ(got.err, "");
    for (const char* word :
         {"usage: longhaul COMMAND", "config", "--quiet", "--verbose", "--no-color", "example: longhaul ",
          "exit codes:", "  0 ", "  1 ", "  2 ", "  3 ", "  4 ", "  5 ", "  6 ", "  130 ", "  143 "}) {
      EXPECT_NE(got.out.find(word), std::string::npos) << word;
    }
  }
}

TEST_F(Program, HelpOfACommandShowsDefaultsAndOneExample) {
  const Outcome got = run("config show --help");
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(got.out,
            "Print every key with its value.\n\n"
            "usage: longhaul config show CONFIG [flags]\n\n"
            "  CONFIG           YAML file\n"
            "  -h --help        show help\n"
            "  --set KEY=VALUE  override one key (repeatable), e.g. --set train.optimizer.learning_rate=3e-4\n"
            "  --origin         a table that says where each value came from\n"
            "  --json           print one JSON object and nothing else on standard output\n\n"
            "example: longhaul config show configs/quickstart.yaml --origin\n"
            "exit codes and the flags of all commands (--quiet, --verbose, --no-color): longhaul --help\n");
}

TEST_F(Program, UsageErrorsExitTwoAndSayWhatToDo) {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"", "error: [usage] a command is missing\n  next: longhaul --help\n"},
      {"confg", "error: [usage] unknown command \"confg\"; did you mean \"config\"?\n  next: longhaul --help\n"},
      {"frobnicate", "error: [usage] unknown command \"frobnicate\"\n  next: longhaul --help\n"},
      {"config", "error: [usage] a command is missing\n  next: longhaul config --help\n"},
      {"config shw",
       "error: [usage] unknown command \"shw\"; did you mean \"show\"?\n  next: longhaul config --help\n"},
      {"config show", "error: [usage] CONFIG is required\n  next: longhaul config show --help\n"},
      {"config show run.yaml --orign",
       "error: [usage] unknown flag \"--orign\"; did you mean \"--origin\"?\n  next: longhaul config show --help\n"},
      {"config show run.yaml more", "error: [usage] unknown argument \"more\"\n  next: longhaul config show --help\n"},
      {"--frob", "error: [usage] unknown flag \"--frob\"\n  next: longhaul --help\n"},
  };
  for (const auto& [arguments, message] : table) {
    const Outcome got = run(arguments);
    EXPECT_EQ(got.code, 2) << arguments;
    EXPECT_EQ(got.err, message);
    EXPECT_EQ(got.out, "");
  }
}

TEST_F(Program, ConfigErrorsExitTwoAndCreateNothing) {
  write("bad.yaml", "data: {train: [a.txt]}\ntrain:\n  steps: 12.5\n  eval_every: soon\n");
  const std::vector<std::string> before = files();
  const Outcome got = run("config check bad.yaml");
  EXPECT_EQ(got.code, 2);
  EXPECT_EQ(got.out, "");
  EXPECT_EQ(got.err,
            "error: [config] 2 errors in bad.yaml, nothing was created\n"
            "  bad.yaml:3:10: train.steps = 12.5: expected a whole number, 0 or more\n"
            "  bad.yaml:4:15: train.eval_every = soon: expected a period, e.g. 1000, 1000step, 50Mtok, 2e, 30m\n"
            "  next: longhaul config explain train.steps\n");
  EXPECT_EQ(files(), before);
}

TEST_F(Program, ConfigShowPrintsWhatReproducesItself) {
  const Outcome first = run("config show run.yaml --set model.dim=64");
  EXPECT_EQ(first.code, 0);
  EXPECT_EQ(first.err, "");
  write("resolved.yaml", first.out);
  EXPECT_EQ(run("config show resolved.yaml").out, first.out);
}

TEST_F(Program, ConfigShowSaysWhereValuesComeFrom) {
  const std::string out = run("config show run.yaml --origin --set model.dim=64").out;
  const auto line_of = [&](const std::string& key) {
    const size_t at = out.find(key + " ");
    return out.substr(at, out.find('\n', at) - at);
  };
  EXPECT_TRUE(line_of("train.steps").ends_with("  run.yaml:2")) << line_of("train.steps");
  EXPECT_TRUE(line_of("model.dim").ends_with("  --set model.dim=64")) << line_of("model.dim");
  EXPECT_TRUE(line_of("model.layers").ends_with("  default")) << line_of("model.layers");
}

TEST_F(Program, ListsOnTheCommandLineStayWhole) {
  const std::string out =
      run("config show run.yaml --set train.optimizer.betas=[0.8,0.9] --set 'data.train=[x.txt, {path: y.txt}]'").out;
  EXPECT_NE(out.find("betas: [0.8, 0.9]"), std::string::npos) << out;
  EXPECT_NE(out.find("/y.txt"), std::string::npos) << out;
}

TEST_F(Program, JsonIsOneObjectAndNothingElse) {
  for (const char* arguments :
       {"config show run.yaml --json", "config check run.yaml --data --json", "config schema"}) {
    const Outcome got = run(arguments);
    EXPECT_EQ(got.code, 0);
    EXPECT_TRUE(nlohmann::json::parse(got.out).is_object()) << arguments;
  }
  const auto shown = nlohmann::json::parse(run("config show run.yaml --json").out);
  EXPECT_EQ(shown["train.steps"]["value"], "10");
  EXPECT_EQ(shown["train.steps"]["origin"], "run.yaml:2");
}

TEST_F(Program, CheckWithDataOpensTheFiles) {
  EXPECT_EQ(run("config check run.yaml --data").out,
            "run.yaml: sound (1 file, 0 overrides)\n  data.train      1 file, 10B\n");
  const Outcome missing = run("config check run.yaml --data --set data.train=nowhere.txt");
  EXPECT_EQ(missing.code, 3);
  EXPECT_EQ(missing.out, "");
  EXPECT_TRUE(missing.err.starts_with("error: [data] ")) << missing.err;
  EXPECT_NE(missing.err.find("nowhere.txt"), std::string::npos);
}

TEST_F(Program, FlagsOfTheProgramStandAnywhere) {
  for (const char* arguments :
       {"--quiet config check run.yaml", "config --quiet check run.yaml", "config check run.yaml --quiet",
        "config check run.yaml -q", "config check --no-color run.yaml", "config check run.yaml --verbose"}) {
    const Outcome got = run(arguments);
    EXPECT_EQ(got.code, 0) << arguments << got.err;
    EXPECT_EQ(got.out, "run.yaml: sound (1 file, 0 overrides)\n");
  }
}

TEST_F(Program, NoColourWithoutATerminal) {
  EXPECT_EQ(run("config show nowhere.yaml").err.find('\x1b'), std::string::npos);
  EXPECT_EQ(run("config show nowhere.yaml", "NO_COLOR=1").err.find('\x1b'), std::string::npos);
}

TEST_F(Program, AFullOutputIsAFailureNotACrash) {
  const std::string command = "'" + longhaul::program_path() + "' config schema >/dev/full 2>'" + logs_.string() + "/err'";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_TRUE(read_file(logs_ / "err").starts_with("error: [console] standard output cannot be written"))
      << read_file(logs_ / "err");
}

}  // namespace
