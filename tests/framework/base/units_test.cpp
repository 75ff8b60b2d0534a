#include "framework/base/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace longhaul::units {
namespace {

TEST(Units, IntegersAreDecimalAndWhole) {
  EXPECT_EQ(parse_integer("0"), 0);
  EXPECT_EQ(parse_integer("-12"), -12);
  EXPECT_EQ(parse_integer("9223372036854775807"), std::numeric_limits<int64_t>::max());
  for (const char* text :
       {"", "-", "+1", "012", "1_000", "0x10", "0o7", "1e3", "1.0", " 1", "1 ", "9223372036854775808"}) {
    EXPECT_EQ(parse_integer(text), std::nullopt) << text;
  }
}

TEST(Units, NumbersAreFiniteDecimals) {
  EXPECT_EQ(parse_number("1e-4"), 1e-4);
  EXPECT_EQ(parse_number("-0.5"), -0.5);
  EXPECT_EQ(parse_number("12"), 12.0);
  for (const char* text : {"", "inf", ".inf", "nan", ".nan", "1_000", "0x1p3", "012", "1e", "1e999", "1,5", "+1"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

TEST(Units, BytesKnowBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_bytes("8GiB"), int64_t{8} << 30);
  EXPECT_EQ(parse_bytes("1.5GiB"), int64_t{3} << 29);
  EXPECT_EQ(parse_bytes("8GB"), 8000000000);
  EXPECT_EQ(parse_bytes("4096"), 4096);
  EXPECT_EQ(parse_bytes("4096B"), 4096);
  for (const char* text : {"8G", "8 GiB", "GiB", "-1GiB", "1.5", "1e9", "8Gib", "9999999TiB"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
}

TEST(Units, CountsMustBeWhole) {
  EXPECT_EQ(parse_count("50M"), 50000000);
  EXPECT_EQ(parse_count("1.1M"), 1100000);
  EXPECT_EQ(parse_count("1234"), 1234);
  for (const char* text : {"50m", "1.5", "0.0001k", "M", "50MM", "-1k", "1e6"})
    EXPECT_EQ(parse_count(text), std::nullopt) << text;
}

TEST(Units, DurationsNeedAUnit) {
  EXPECT_EQ(parse_duration("90s"), 90.0);
  EXPECT_EQ(parse_duration("1.5h"), 5400.0);
  EXPECT_EQ(parse_duration("0"), 0.0);
  for (const char* text : {"90", "90sec", "-1s", "s", "1e3s"}) EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Units, PercentRangesAreHalfOpenParts) {
  EXPECT_EQ(parse_percent_range("0%..90%"), (PercentRange{0, 90}));
  EXPECT_EQ(parse_percent_range("12.5%..100%"), (PercentRange{12.5, 100}));
  for (const char* text : {"90%..0%", "0%..101%", "0..90", "0%-90%", "50%..50%", "%..%", "", "0%.."}) {
    EXPECT_EQ(parse_percent_range(text), std::nullopt) << text;
  }
}

TEST(Units, PeriodsCarryTheirUnit) {
  using Unit = Period::Unit;
  EXPECT_EQ(parse_period("500"), (Period{500, Unit::kStep}));
  EXPECT_EQ(parse_period("500step"), (Period{500, Unit::kStep}));
  EXPECT_EQ(parse_period("50Mtok"), (Period{5e7, Unit::kToken}));
  EXPECT_EQ(parse_period("2e"), (Period{2, Unit::kEpoch}));
  EXPECT_EQ(parse_period("0.5e"), (Period{0.5, Unit::kEpoch}));
  EXPECT_EQ(parse_period("90s"), (Period{90, Unit::kSecond}));
  EXPECT_EQ(parse_period("30m"), (Period{1800, Unit::kSecond}));
  EXPECT_EQ(parse_period("2h"), (Period{7200, Unit::kSecond}));
  EXPECT_TRUE(parse_period("0")->off());
  for (const char* text : {"", "soon", "50M", "2e3", "-1", "1.5", "1.5step", "500 step", "e", "tok", "1_000"}) {
    EXPECT_EQ(parse_period(text), std::nullopt) << text;
  }
}

TEST(Units, FormattedTextParsesBackToTheSameValue) {
  for (const int64_t value :
       {int64_t{0}, int64_t{1}, int64_t{1023}, int64_t{1536} << 20, int64_t{8} << 30, int64_t{50000000}}) {
    EXPECT_EQ(parse_bytes(format_bytes(value)), value);
    EXPECT_EQ(parse_count(format_count(value)), value);
  }
  for (const double value : {0.0, 0.1, 3e-4, 1e-8, 1e20, 1.0 / 3.0})
    EXPECT_EQ(parse_number(format_number(value)), value);
  for (const double value : {0.0, 0.25, 90.0, 1800.0, 7200.0, 86400.0, 0.00001}) {
    EXPECT_EQ(parse_duration(format_duration(value)), value);
  }
  for (const char* text : {"0", "500", "50Mtok", "2e", "0.5e", "90s", "30m", "2h", "1234tok"}) {
    EXPECT_EQ(format_period(*parse_period(text)), text);
  }
  EXPECT_EQ(format_percent_range({0, 90}), "0%..90%");
  EXPECT_EQ(format_percent_range({12.5, 100}), "12.5%..100%");
}

TEST(Units, BytesForPeopleKeepThreeDigits) {
  EXPECT_EQ(approximate_bytes(512), "512B");
  EXPECT_EQ(approximate_bytes(1.25 * 1073741824), "1.25GiB");
  EXPECT_EQ(approximate_bytes(876.0 * 1048576), "876MiB");
}

TEST(Units, APeriodIsDueOncePerCrossing) {
  const Period every{100, Period::Unit::kStep};
  const auto at = [](int64_t steps) { return Progress{.steps = steps}; };
  EXPECT_FALSE(every.due(at(0), at(99)));
  EXPECT_TRUE(every.due(at(99), at(100)));
  EXPECT_FALSE(every.due(at(100), at(101)));
  EXPECT_TRUE(every.due(at(150), at(450)));
  EXPECT_FALSE(Period{}.due(at(0), at(1000)));
  const Period tokens{1e6, Period::Unit::kToken};
  EXPECT_TRUE(tokens.due({.tokens = 999999}, {.tokens = 1000001}));
  const Period epochs{0.5, Period::Unit::kEpoch};
  EXPECT_TRUE(epochs.due({.epochs = 0.4}, {.epochs = 0.6}));
  const Period seconds{30, Period::Unit::kSecond};
  EXPECT_FALSE(seconds.due({.seconds = 31}, {.seconds = 59}));
}

}  // namespace
}  // namespace longhaul::units
