#include "models/exchange/public_config.h"

#include <gtest/gtest.h>

#include "tests/support/folder_test.h"

namespace longhaul::models::exchange {
namespace {

using checkpoint::message_of;

TEST(PublicConfig, AnAbsentOrNullKeyHasTheDefaultOfTheLibrary) {
  const PublicConfig config(R"({"layers": 3, "scale": 2, "tied": false, "name": "gelu", "windows": [4, 8], "one": 6, "none": null, "architectures": ["A", "B"]})");
  EXPECT_EQ(config.integer("layers", 12), 3);
  EXPECT_EQ(config.integer("none", 12), 12);
  EXPECT_EQ(config.count("absent", 7), 7);
  EXPECT_EQ(config.number("scale", 0.5), 2);
  EXPECT_EQ(config.boolean("tied", true), false);
  EXPECT_EQ(config.text("name", "relu"), "gelu");
  EXPECT_EQ(config.integers("windows", {1}), (std::vector<int64_t>{4, 8}));
  EXPECT_EQ(config.integers("one", {1}), (std::vector<int64_t>{6}));
  EXPECT_EQ(config.integers("absent", {1}), (std::vector<int64_t>{1}));
  EXPECT_EQ(config.first_text("architectures"), "A");
  EXPECT_EQ(config.first_text("absent"), "");
}

TEST(PublicConfig, AValueOfAnotherTypeIsRefused) {
  const PublicConfig config(R"({"layers": 2.5, "heads": 0, "huge": 18446744073709551615, "tied": 1, "name": ["a"], "windows": [1, "b"], "architectures": "A"})");
  const auto said = [](const auto& call) { return message_of(call); };
  EXPECT_EQ(said([&] { config.integer("layers", 1); }), "[exchange] config.json: layers = 2.5: expected a whole number");
  EXPECT_EQ(said([&] { config.count("heads", 1); }), "[exchange] config.json: heads = 0: expected 1 or more");
  EXPECT_EQ(said([&] { config.integer("huge", 1); }), "[exchange] config.json: huge = 18446744073709551615: expected a whole number");
  EXPECT_EQ(said([&] { config.boolean("tied", true); }), "[exchange] config.json: tied = 1: expected true or false");
  EXPECT_EQ(said([&] { config.text("name", ""); }), "[exchange] config.json: name = [\"a\"]: expected a text");
  EXPECT_EQ(said([&] { config.integers("windows", {}); }), "[exchange] config.json: windows = \"b\": expected a whole number");
  EXPECT_EQ(said([&] { config.first_text("architectures"); }), "[exchange] config.json: architectures = \"A\": expected a list of texts");
  EXPECT_EQ(said([] { PublicConfig("[1]"); }), "[exchange] config.json is not a JSON object");
  EXPECT_EQ(said([] { PublicConfig("{"); }), "[exchange] config.json is not a JSON object");
}

}  // namespace
}  // namespace longhaul::models::exchange
