#include "train/commands/exchange.h"

#include "tests/support/folder_test.h"
#include "tests/support/tiny_run.h"

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

TEST_F(ExchangeCommandTest, WhatIsNoModelIsNotExported) {
  EXPECT_EQ(message_of([&] { run_export({.model = at("no").string(), .out = at("out").string()}, console_); }),
            "[model] " + at("no").string() + " does not exist");
}

}  // namespace
}  // namespace longhaul::cli
