#include "framework/base/fields.h"

#include <gtest/gtest.h>

#include <map>

namespace longhaul {
namespace {

enum class Colour { kRed, kGreen };

struct Sample {
  bool flag = false;
  int narrow = 3;
  int64_t rows = 0;
  double rate = 0.5;
  std::string name = "x";
  Colour colour = Colour::kGreen;
  Period every{500};
  std::vector<int64_t> shape;
};

void fields(FieldVisitor& v, Sample& s) {
  v.boolean("flag", s.flag, {}, "a flag");
  v.integer("narrow", s.narrow, {.min = 1, .max = 8, .unit = "heads"}, "an int");
  v.integer("rows", s.rows, {.min = 0, .automatic = -1}, "rows or auto");
  v.number("rate", s.rate, {.min = 0, .max = 1, .below_max = true}, "a rate");
  v.text("name", s.name, {.may_be_empty = false}, "a name");
  v.choice("colour", s.colour, {{"red", Colour::kRed}, {"green", Colour::kGreen}}, {}, "a colour");
  v.period("every", s.every, {}, "a period");
  v.list("shape", s.shape, {.min = 1}, {}, "a list");
}

// Sets one key from text, and remembers what every field says about itself.
class Setter final : public FieldVisitor {
 public:
  std::map<std::string, std::string> values, expected;
  std::string key, text;

 private:
  void on_field(const Field& field) override {
    if (field.name == key) field.set(text);
    values[std::string(field.name)] = field.get();
    expected[std::string(field.name)] = field.expected;
  }
  void on_list(const ListField& field) override {
    field.resize(2);
    field.select(1);
    field.item.set("7");
  }
  void on_section(std::string_view, const SectionTraits&, std::string_view,
                  const std::function<void(FieldVisitor&)>& body) override {
    body(*this);
  }
  void on_records(const RecordsField&) override {}
};

// The text of `key` after it was given `text`.
std::string after(const std::string& key, const std::string& text) {
  Sample sample;
  Setter setter;
  setter.key = key;
  setter.text = text;
  fields(setter, sample);
  return setter.values[key];
}

TEST(Fields, BindTextToTypedMembersAndBack) {
  EXPECT_EQ(after("flag", "true"), "true");
  EXPECT_EQ(after("narrow", "8"), "8");
  EXPECT_EQ(after("rows", "auto"), "auto");
  EXPECT_EQ(after("rows", "4096"), "4096");
  EXPECT_EQ(after("rate", "3e-4"), "0.0003");
  EXPECT_EQ(after("colour", "red"), "red");
  EXPECT_EQ(after("every", "30m"), "30m");
}

TEST(Fields, RefusedTextLeavesTheMemberAsItWas) {
  EXPECT_EQ(after("flag", "yes"), "false");
  EXPECT_EQ(after("narrow", "9"), "3");
  EXPECT_EQ(after("narrow", "99999999999999999999"), "3");
  EXPECT_EQ(after("rows", "-1"), "0");
  EXPECT_EQ(after("rate", "1"), "0.5");
  EXPECT_EQ(after("rate", ".nan"), "0.5");
  EXPECT_EQ(after("name", ""), "x");
  EXPECT_EQ(after("colour", "blue"), "green");
  EXPECT_EQ(after("every", "soon"), "500");
}

TEST(Fields, SayWhatTheyExpect) {
  Sample sample;
  Setter reader;
  fields(reader, sample);
  EXPECT_EQ(reader.expected["narrow"], "a whole number of heads, 1 to 8");
  EXPECT_EQ(reader.expected["rows"], "a whole number, 0 or more, or auto");
  EXPECT_EQ(reader.expected["rate"], "a number, at least 0 and below 1");
  EXPECT_EQ(reader.expected["colour"], "one of red, green");
  EXPECT_EQ(reader.expected["name"], "a text that is not empty");
}

TEST(Fields, ListsReachTheSelectedElement) {
  Sample sample;
  Setter setter;
  fields(setter, sample);
  EXPECT_EQ(sample.shape, (std::vector<int64_t>{0, 7}));
}

}  // namespace
}  // namespace longhaul
