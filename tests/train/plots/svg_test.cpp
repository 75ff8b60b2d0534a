#include "train/plots/svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace longhaul::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Ticks, StandAtRoundValuesAroundTheRange) {
  EXPECT_THAT(round_ticks(0, 10, AxisScale::kLinear, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(round_ticks(1.31, 2.4, AxisScale::kLinear, 6),
              testing::Pointwise(testing::DoubleNear(1e-12), {1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4}));
  EXPECT_THAT(round_ticks(-3, 3, AxisScale::kLinear, 3), ElementsAre(-4, -2, 0, 2, 4));
}

TEST(Ticks, ArePowersOnALogarithmicAxis) {
  EXPECT_THAT(round_ticks(1, 16, AxisScale::kLog2, 8), ElementsAre(1, 2, 4, 8, 16));
  EXPECT_THAT(round_ticks(1, 65536, AxisScale::kLog2, 8), ElementsAre(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536));
  EXPECT_THAT(round_ticks(3, 500, AxisScale::kLog10, 8), ElementsAre(1, 10, 100, 1000));
}

TEST(Ticks, AreWrittenWithTheDigitsTheirDistanceNeeds) {
  EXPECT_EQ(tick_text(0.25, 0.05), "0.25");
  EXPECT_EQ(tick_text(2, 0.5), "2.0");
  EXPECT_EQ(tick_text(-0.0, 0.5), "0.0");
  EXPECT_EQ(tick_text(1500, 500), "1500");
  EXPECT_EQ(tick_text(20000, 5000), "20K");
  EXPECT_EQ(tick_text(1500000, 500000), "1.5M");
  EXPECT_EQ(tick_text(4096, 0), "4096");
  EXPECT_EQ(tick_text(65536, 0), "64Ki");
}

TEST(Svg, ACurveIsDrawnBetweenLabelledAxes) {
  const std::string svg = draw_svg({.title = "loss",
                                    .x = {.label = "step"},
                                    .y = {.label = "loss (nats per token)"},
                                    .series = {{.name = "train", .points = {{0, 4}, {50, 2}, {100, 1}}, .marks = true},
                                               {.name = "valid", .points = {{50, 2.5}, {100, 1.5}}}}});
  EXPECT_THAT(svg, HasSubstr(">loss (nats per token)</text>"));
  EXPECT_THAT(svg, HasSubstr(">step</text>"));
  EXPECT_THAT(svg, HasSubstr("M76 48L386 269.3L696 380"));  // first point at the top left, last at the right
  EXPECT_EQ(count(svg, "<circle"), 3u);
  EXPECT_EQ(count(svg, "stroke-linejoin"), 2u);
  EXPECT_THAT(svg, HasSubstr(">train</text>"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

TEST(Svg, MarkupInNamesIsEscaped) {
  const std::string svg =
      draw_svg({.title = "a < b & c", .x = {}, .y = {}, .series = {{.name = "<x>", .points = {{0, 0}}}}});
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(svg, HasSubstr("&lt;x&gt;"));
  EXPECT_THAT(svg, Not(HasSubstr("<x>")));
}

TEST(Svg, ANumberThatIsNotFiniteInterruptsTheLine) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string svg = draw_svg(
      {.title = "", .x = {}, .y = {}, .series = {{.name = "", .points = {{0, 1}, {1, 2}, {2, nan}, {3, 1}, {4, 2}}}}});
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  const size_t path = svg.rfind("<path d=\"");
  EXPECT_EQ(count(svg.substr(path), "M"), 2u);
}

TEST(Svg, APlotWithoutPointsSaysSo) {
  EXPECT_THAT(draw_svg({.title = "loss", .x = {}, .y = {}, .series = {{.name = "train", .points = {}}}}),
              HasSubstr(">no data</text>"));
}

TEST(Svg, OnePointStandsInTheMiddle) {
  const std::string svg =
      draw_svg({.title = "", .x = {}, .y = {}, .series = {{.name = "", .points = {{10, 2}}, .marks = true}}});
  EXPECT_THAT(svg, HasSubstr("cx=\"386\""));
}

}  // namespace
}  // namespace longhaul::train
