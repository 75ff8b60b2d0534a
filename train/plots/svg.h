// defines: AxisScale, Axis, Series, Plot, draw_svg
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace longhaul::train {

enum class AxisScale { kLinear, kLog2, kLog10 };

struct Axis {
  std::string label;  // with its unit: "loss (nats per token)"
  AxisScale scale = AxisScale::kLinear;
};

struct Series {
  std::string name;                               // in the legend; empty: no entry
  std::vector<std::pair<double, double>> points;  // (x, y); points that are not finite, or not positive on a
                                                  // logarithmic axis, interrupt the line
  bool marks = false;                             // a dot on every point
};

struct Plot {
  std::string title;
  Axis x, y;
  std::vector<Series> series;  // up to 8 have colours of their own
};

/// A line plot as a standalone SVG text: 720 x 440, light, ticks at round values, the same bytes for the same plot.
/// A plot without any drawable point shows its axes and the words "no data".
std::string draw_svg(const Plot& plot);

/// Positions of ticks that cover [low, high] on a scale, at most about `most` of them, at round values: 1, 2 or 5 times
/// a power of ten (kLinear), powers of the base (logarithmic).
std::vector<double> round_ticks(double low, double high, AxisScale scale, int most);
/// The text of a tick whose neighbour is `step` away (0: logarithmic): "0.25", "1500", "20K", "1.5M"; on logarithmic axes
/// powers of two from 16,384 on as "16Ki".
std::string tick_text(double value, double step);

}  // namespace longhaul::train
