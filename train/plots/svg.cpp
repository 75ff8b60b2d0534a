#include "train/plots/svg.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace longhaul::train {
namespace {

constexpr double kWidth = 720, kHeight = 440;
constexpr double kLeft = 76, kRight = 24, kTop = 48, kBottom = 60;
// Okabe and Ito 2008: eight colours that people with colour blindness can tell apart (the yellow darkened for white).
constexpr std::array<const char*, 8> kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                "#56b4e9", "#e69f00", "#8a7a00", "#333333"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

// Coordinates with one decimal: enough for the eye, and files stay small.
std::string coordinate(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

double unit_of(AxisScale scale, double value) {
  switch (scale) {
    case AxisScale::kLinear:
      return value;
    case AxisScale::kLog2:
      return std::log2(value);
    case AxisScale::kLog10:
      return std::log10(value);
  }
  return value;
}

bool drawable(AxisScale scale, double value) {
  return std::isfinite(value) && (scale == AxisScale::kLinear || value > 0);
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

// A range with some width, so that one point, or equal ones, stand in the middle of the axis.
Range widened(Range range, AxisScale scale) {
  if (range.empty()) return scale == AxisScale::kLinear ? Range{0, 1} : Range{1, 16};
  if (range.low < range.high) return range;
  if (scale != AxisScale::kLinear) return {range.low / 2, range.high * 2};
  const double half = range.low == 0 ? 1 : std::abs(range.low) * 0.1;
  return {range.low - half, range.high + half};
}

class Frame {
 public:
  Frame(const Plot& plot, Range x, Range y) : plot_(plot) {
    x = widened(x, plot.x.scale);
    y = widened(y, plot.y.scale);
    x_ticks_ = round_ticks(x.low, x.high, plot.x.scale, 8);
    y_ticks_ = round_ticks(y.low, y.high, plot.y.scale, 7);
    // The y axis ends at ticks, the x axis with the data: a curve should not stop short of its frame.
    x_low_ = unit_of(plot.x.scale, x.low), x_high_ = unit_of(plot.x.scale, x.high);
    y_low_ = unit_of(plot.y.scale, std::min(y.low, y_ticks_.front()));
    y_high_ = unit_of(plot.y.scale, std::max(y.high, y_ticks_.back()));
  }

  double x(double value) const {
    const double share = (unit_of(plot_.x.scale, value) - x_low_) / (x_high_ - x_low_);
    return kLeft + share * (kWidth - kLeft - kRight);
  }
  double y(double value) const {
    const double share = (unit_of(plot_.y.scale, value) - y_low_) / (y_high_ - y_low_);
    return kHeight - kBottom - share * (kHeight - kTop - kBottom);
  }

  std::string text() const {
    std::string out;
    const double step_x = x_ticks_.size() > 1 ? x_ticks_[1] - x_ticks_[0] : 0;
    const double step_y = y_ticks_.size() > 1 ? y_ticks_[1] - y_ticks_[0] : 0;
    for (const double tick : y_ticks_) {
      const std::string at = coordinate(y(tick));
      out += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#e3e3e3\"/>\n", kLeft, at,
                         kWidth - kRight, at);
      out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", kLeft - 8, coordinate(y(tick) + 4),
                         tick_text(tick, step_y));
    }
    for (const double tick : x_ticks_) {
      if (unit_of(plot_.x.scale, tick) < x_low_ - 1e-9 || unit_of(plot_.x.scale, tick) > x_high_ + 1e-9) continue;
      const std::string at = coordinate(x(tick));
      out += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#555\"/>\n", at, kHeight - kBottom, at,
                         kHeight - kBottom + 5);
      out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", at, kHeight - kBottom + 20,
                         tick_text(tick, plot_.x.scale == AxisScale::kLinear ? step_x : 0));
    }
    out += fmt::format("<path d=\"M{0} {1}V{2}H{3}\" fill=\"none\" stroke=\"#555\"/>\n", kLeft, kTop, kHeight - kBottom,
                       kWidth - kRight);
    out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", (kLeft + kWidth - kRight) / 2,
                       kHeight - 16, escaped(plot_.x.label));
    const double middle = (kTop + kHeight - kBottom) / 2;
    out += fmt::format("<text x=\"20\" y=\"{0}\" text-anchor=\"middle\" transform=\"rotate(-90 20 {0})\">{1}</text>\n",
                       middle, escaped(plot_.y.label));
    return out;
  }

 private:
  const Plot& plot_;
  std::vector<double> x_ticks_, y_ticks_;
  double x_low_, x_high_, y_low_, y_high_;
};

std::string line_of(const Plot& plot, const Series& series, const Frame& frame, const char* color) {
  std::string path, marks;
  bool pen_down = false;
  for (const auto& [x, y] : series.points) {
    if (!drawable(plot.x.scale, x) || !drawable(plot.y.scale, y)) {
      pen_down = false;
      continue;
    }
    const std::string px = coordinate(frame.x(x)), py = coordinate(frame.y(y));
    path += fmt::format("{}{} {}", pen_down ? "L" : "M", px, py);
    pen_down = true;
    if (series.marks) marks += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"{}\"/>\n", px, py, color);
  }
  if (path.empty()) return "";
  return fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>\n",
                     path, color) +
         marks;
}

std::string legend(const Plot& plot) {
  std::string out;
  double at = kTop + 14;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    if (series.name.empty()) continue;
    const char* color = kColors[i % kColors.size()];
    out += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{}\" stroke-width=\"2.5\"/>\n",
                       kWidth - kRight - 28, at - 4, kWidth - kRight - 8, at - 4, color);
    out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", kWidth - kRight - 34, at,
                       escaped(series.name));
    at += 18;
  }
  return out;
}

}  // namespace

std::vector<double> round_ticks(double low, double high, AxisScale scale, int most) {
  std::vector<double> ticks;
  if (scale != AxisScale::kLinear) {
    const double base = scale == AxisScale::kLog2 ? 2 : 10;
    const int first = static_cast<int>(std::floor(unit_of(scale, low) + 1e-9));
    const int last = static_cast<int>(std::ceil(unit_of(scale, high) - 1e-9));
    const int step = std::max(1, (last - first + most - 1) / most);
    for (int power = first; power <= last; power += step) ticks.push_back(std::pow(base, power));
    return ticks;
  }
  const double rough = (high - low) / most;
  const double magnitude = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * magnitude;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * magnitude >= rough * (1 - 1e-9)) {
      step = factor * magnitude;
      break;
    }
  }
  const auto first = static_cast<int64_t>(std::floor(low / step + 1e-9));
  const auto last = static_cast<int64_t>(std::ceil(high / step - 1e-9));
  for (int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string tick_text(double value, double step) {
  const double size = std::abs(value);
  if (size >= 1e6 && std::abs(step) >= 1e4) return fmt::format("{:g}M", value / 1e6);
  if (size >= 1e4 && (step == 0 || std::abs(step) >= 100)) {
    if (step == 0 && std::fmod(size, 1024) == 0) return fmt::format("{:g}Ki", value / 1024);
    return fmt::format("{:g}K", value / 1e3);
  }
  if (step == 0) return fmt::format("{:g}", value);
  const int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(std::abs(step)) + 1e-9)), 0, 9);
  const std::string text = fmt::format("{:.{}f}", value, decimals);
  return text.find_first_of("123456789") == std::string::npos ? fmt::format("{:.{}f}", 0.0, decimals) : text;
}

std::string draw_svg(const Plot& plot) {
  Range x, y;
  for (const Series& series : plot.series) {
    for (const auto& [px, py] : series.points) {
      if (drawable(plot.x.scale, px) && drawable(plot.y.scale, py)) x.take(px), y.take(py);
    }
  }
  const Frame frame(plot, x, y);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n"
      "<text x=\"{2}\" y=\"28\" font-size=\"15\" font-weight=\"bold\">{3}</text>\n",
      kWidth, kHeight, kLeft, escaped(plot.title));
  out += frame.text();
  for (size_t i = 0; i < plot.series.size(); ++i) {
    out += line_of(plot, plot.series[i], frame, kColors[i % kColors.size()]);
  }
  out += legend(plot);
  if (x.empty()) {
    out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#777\">no data</text>\n",
                       (kLeft + kWidth - kRight) / 2, (kTop + kHeight - kBottom) / 2);
  }
  return out + "</svg>\n";
}

}  // namespace longhaul::train
