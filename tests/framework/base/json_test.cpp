#include "framework/base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace longhaul::json {
namespace {

std::string again(std::string_view text) {
  const Parsed parsed = parse(text);
  return parsed.error.empty() ? parsed.value.dump() : parsed.error;
}

TEST(Json, WhatIsWrittenIsReadBack) {
  for (const char* text :
       {"null", "true", "false", "0", "-9223372036854775808", "0.1", "1.0", "-0.0", "5e-324", "\"\"",
        "\"a\\\"b\\\\c\\n\\u0001\xc3\xa4\"", "[]", "{}", "[1,[2,{}],\"x\"]", "{\"b\":1,\"a\":{\"c\":[null]}}"}) {
    EXPECT_EQ(again(text), text);
  }
}

TEST(Json, RealsKeepTheirBitsAndStayReals) {
  for (const double value : {1.0, -0.0, 1e300, 1.0 / 3, std::numeric_limits<double>::denorm_min(),
                             std::numeric_limits<double>::max(), 123456789012345678.0}) {
    const Parsed parsed = parse(Value(value).dump());
    ASSERT_NE(parsed.value.real(), nullptr) << Value(value).dump();
    EXPECT_EQ(std::signbit(*parsed.value.real()), std::signbit(value));
    EXPECT_EQ(*parsed.value.real(), value);
  }
}

TEST(Json, BytesThatAreNoTextAreReplaced) {
  EXPECT_EQ(Value("a\xff"
                  "b\xed\xa0\x80\xc0\x80")
                .dump(),
            "\"a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(again("\"\xf0\x9f\x98\x80\""), "\"\xf0\x9f\x98\x80\"");
}

TEST(Json, PrettyTextIndentsAndKeepsPlainListsOnALine) {
  EXPECT_EQ(Value(Object{{"a", List{1, 2}}, {"b", List{Object{{"c", "d"}}}}, {"e", Object{}}}).dump(2),
            "{\n  \"a\": [1,2],\n  \"b\": [\n    {\n      \"c\": \"d\"\n    }\n  ],\n  \"e\": {}\n}");
}

TEST(Json, WhatIsWrongIsSaid) {
  EXPECT_EQ(again(""), "it is not JSON at byte 1");
  EXPECT_EQ(again("{\"a\":1,}"), "it is not JSON at byte 8");
  EXPECT_EQ(again("1 2"), "it is not JSON at byte 3");
  EXPECT_EQ(again("NaN"), "it is not JSON at byte 1");
  EXPECT_EQ(again("\"\xff\""), "it is not JSON at byte 2");
  EXPECT_EQ(again("{\"a\":1,\"b\":2,\"a\":3}"), "\"a\" stands twice");
  EXPECT_EQ(again("9223372036854775808"), "the number 9223372036854775808 does not fit 64 bits");
  EXPECT_EQ(again("99999999999999999999"), "the number 99999999999999999999 does not fit 64 bits");
  EXPECT_EQ(again(std::string(100'000, '[')), "it is nested deeper than 16");
  EXPECT_EQ(again(std::string(16, '[') + std::string(16, ']')), std::string(16, '[') + std::string(16, ']'));
}

TEST(Json, MembersAreFoundByName) {
  const Parsed parsed = parse("{\"a\":1,\"b\":\"x\"}");
  ASSERT_NE(parsed.value.find("b"), nullptr);
  EXPECT_EQ(*parsed.value.find("b")->text(), "x");
  EXPECT_EQ(parsed.value.find("c"), nullptr);
  EXPECT_EQ(parsed.value.find("a")->find("a"), nullptr);
  EXPECT_EQ(parsed.value.find("a")->text(), nullptr);
}

}  // namespace
}  // namespace longhaul::json
