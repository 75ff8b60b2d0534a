#include "train/commands/exchange.h"

#include "tests/support/folder_test.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_run.h"
#include "train/config/load.h"

namespace longhaul::cli {
namespace {

using checkpoint::message_of;

class ExchangeCommandTest : public checkpoint::FolderTest {
 protected:
  Console console_{{.verbosity = Verbosity::kQuiet}};
};

TEST_F(ExchangeCommandTest, AModelOfAnUnknownTypeIsNotImported) {
  io::write_new_file(at("config.json"), "{\"model_type\": \"no-such-model\"}");
  const std::string text =
      message_of([&] { run_import({.source = folder_.string(), .out = at("out").string()}, console_); });
  EXPECT_EQ(text.substr(0, text.find('\n')), "[exchange] " + at("config.json").string() +
                                                 ": no family of this build reads the model_type \"no-such-model\"");
  EXPECT_FALSE(io::exists(at("out")));
}

TEST_F(ExchangeCommandTest, TheConfigurationOfEveryImportedModelIsSound) {
  const io::Path cases = io::Path(source_folder()) / "tests" / "reference";
  int count = 0;
  for (const char* family : {"longformer", "led", "bigbird", "bigbird_pegasus", "reformer", "transfo_xl"}) {
    for (const std::string& name : io::list(cases / family)) {
      if (!io::exists(cases / family / name / "config.json")) continue;
      SCOPED_TRACE(std::string(family) + "/" + name);
      const std::string out = at(std::string(family) + "-" + name).string();
      run_import({.source = (cases / family / name).string(), .out = out}, console_);
      EXPECT_NO_THROW(config::load_config(out + "/config.yaml", {}, config::Purpose::kModel));
      ++count;
    }
  }
  EXPECT_GE(count, 25);
}

TEST_F(ExchangeCommandTest, WhatIsNoModelIsNotExported) {
  EXPECT_EQ(message_of([&] { run_export({.model = at("no").string(), .out = at("out").string()}, console_); }),
            "[model] " + at("no").string() + " does not exist");
}

}  // namespace
}  // namespace longhaul::cli
