// The house keeps its shape: which folder may include which, where third-party headers stand, how long a file may be.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/architecture/rules.h"
#include "tests/support/paths.h"

namespace longhaul::architecture {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kUsualLines = 400;
constexpr int kMostLines = 800;

const std::vector<SourceFile>& house() {
  static const std::vector<SourceFile> files = read_sources(source_folder());
  return files;
}

std::vector<std::string> problems_everywhere(std::vector<std::string> (*check)(const SourceFile&), bool sources_only) {
  std::vector<std::string> all;
  for (const SourceFile& file : house()) {
    if (sources_only && !file.is_source()) continue;
    for (std::string& problem : check(file)) all.push_back(std::move(problem));
  }
  return all;
}

TEST(House, IsReadFromTheRepository) {
  std::vector<std::string> paths;
  for (const SourceFile& file : house()) paths.push_back(file.path);
  EXPECT_THAT(paths, Contains("framework/base/error.h"));
  EXPECT_THAT(paths, Contains("train/main.cpp"));
  EXPECT_THAT(paths, Contains("tools/setup"));
  EXPECT_THAT(paths, Contains("CMakeLists.txt"));
}

TEST(House, IncludesPointDownwardsOnly) { EXPECT_THAT(problems_everywhere(include_problems, true), IsEmpty()); }

TEST(House, HeadersDoNotIncludeEachOtherInARing) { EXPECT_THAT(include_cycles(house()), IsEmpty()); }

TEST(House, HoldsNoUnfinishedNotesAndNoPathsOfOneMachine) {
  EXPECT_THAT(problems_everywhere(text_problems, false), IsEmpty());
}

TEST(House, FilesAreShort) {
  for (const SourceFile& file : house()) {
    if (!file.is_source()) continue;
    const int lines = line_count(file);
    EXPECT_LE(lines, kMostLines) << file.path;
    if (lines > kUsualLines) fmt::print("warning: {} has {} lines, usual are {}\n", file.path, lines, kUsualLines);
  }
}

// The rules find what they are there to find.

std::vector<std::string> found(const std::string& path, const std::string& text) {
  return include_problems({path, "#pragma once\n" + text + "\n"});
}

TEST(Rules, ALayerIsAFolderOfTheFrameworkOrATopFolder) {
  EXPECT_EQ(layer_of("framework/ops/softmax.h"), "framework/ops");
  EXPECT_EQ(layer_of("framework/backends/cpu/gemm/a.h"), "framework/backends/cpu");
  EXPECT_EQ(layer_of("models/local/model.cpp"), "models");
  EXPECT_EQ(layer_of("tests/cases/a.h"), "");
}

TEST(Rules, AnArrowThatPointsUpIsFound) {
  EXPECT_THAT(found("framework/ops/a.cpp", "#include \"framework/nn/layers.h\""),
              ElementsAre(HasSubstr("a.cpp:2 includes \"framework/nn/layers.h\": framework/ops may not include")));
  EXPECT_THAT(found("framework/tensor/a.h", "  #  include \"framework/pattern/rule.h\""), testing::SizeIs(1));
  EXPECT_THAT(found("models/a.cpp", "#include \"train/config/config.h\""), testing::SizeIs(1));
  EXPECT_THAT(found("models/a.cpp", "#include \"data/dataset.h\""), testing::SizeIs(1));
  EXPECT_THAT(found("data/a.cpp", "#include \"framework/autograd/tape.h\""), testing::SizeIs(1));
  EXPECT_THAT(found("framework/optim/a.cpp", "#include \"framework/nn/module.h\""), testing::SizeIs(1));
  EXPECT_THAT(found("train/a.cpp", "#include \"tests/support/a.h\""), testing::SizeIs(1));
}

TEST(Rules, ArrowsThatPointDownAreFine) {
  EXPECT_THAT(found("train/a.cpp", "#include \"models/registry.h\"\n#include \"framework/optim/a.h\""), IsEmpty());
  EXPECT_THAT(found("models/a.cpp", "#include \"framework/checkpoint/safetensors.h\""), IsEmpty());
  EXPECT_THAT(found("framework/nn/a.cpp", "#include \"framework/base/error.h\"\n#include <vector>"), IsEmpty());
  EXPECT_THAT(found("tests/framework/a.cpp", "#include \"framework/backends/cpu/isa.h\""), IsEmpty());
}

TEST(Rules, NobodyIncludesABackend) {
  EXPECT_THAT(found("train/a.cpp", "#include \"framework/backends/cpu/isa.h\""), ElementsAre(HasSubstr("the backend")));
  EXPECT_THAT(found("framework/backends/cpu/a.cpp", "#include \"framework/backends/reference/a.h\""),
              ElementsAre(HasSubstr("the backend")));
  EXPECT_THAT(found("framework/backends/cpu/a.cpp", "#include \"framework/backends/cpu/isa.h\""), IsEmpty());
}

TEST(Rules, PathsStartAtTheRoot) {
  EXPECT_THAT(found("train/config/a.cpp", "#include \"config.h\""), ElementsAre(HasSubstr("repository's root")));
  EXPECT_THAT(found("train/config/a.cpp", "#include \"../cli/help.h\""), ElementsAre(HasSubstr("repository's root")));
}

TEST(Rules, ThirdPartyHeadersStandInTheirFacades) {
  EXPECT_THAT(found("train/config/a.h", "#include <yaml-cpp/yaml.h>"), ElementsAre(HasSubstr("a header includes")));
  EXPECT_THAT(found("train/config/a.cpp", "#include <yaml-cpp/yaml.h>"), IsEmpty());
  EXPECT_THAT(found("models/a.cpp", "#include <spdlog/spdlog.h>"), ElementsAre(HasSubstr("outside of its facade")));
  EXPECT_THAT(found("framework/ops/a.h", "#include <fmt/core.h>\n#include <sys/stat.h>\n#include <span>"), IsEmpty());
  EXPECT_THAT(found("framework/ops/a.h", "#include <fmt/format.h>"), testing::SizeIs(1));
}

TEST(Rules, AHeaderIsGuarded) {
  EXPECT_THAT(include_problems({"data/a.h", "int x;\n"}), ElementsAre(HasSubstr("no #pragma once")));
}

TEST(Rules, ARingOfIncludesIsFound) {
  const auto file = [](const char* path, const char* other) {
    return SourceFile{path, fmt::format("#include \"{}\"\n", other)};
  };
  EXPECT_THAT(
      include_cycles({file("data/a.h", "data/b.h"), file("data/b.h", "data/c.h"), file("data/c.h", "data/b.h")}),
      ElementsAre("data/b.h -> data/c.h -> data/b.h"));
  EXPECT_THAT(include_cycles({file("data/a.h", "data/b.h"), file("data/b.h", "data/c.h")}), IsEmpty());
}

TEST(Rules, NotesAndMachinePathsAreFound) {
  const auto problems = [](const std::string& text) { return text_problems({"a.md", text}); };
  EXPECT_THAT(problems(std::string("// TO") + "DO later"), testing::SizeIs(1));
  EXPECT_THAT(problems(std::string("fine\npath: /ho") + "me/someone/data"), ElementsAre(HasSubstr("a.md:2")));
  EXPECT_THAT(problems("a/home/page and /tmp/x and /usr/include are fine"), IsEmpty());
}

}  // namespace
}  // namespace longhaul::architecture
