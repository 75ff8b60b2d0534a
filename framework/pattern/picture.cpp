#include "framework/pattern/picture.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "framework/pattern/audit.h"

namespace longhaul {
namespace {

/// Shares of visible pairs in a grid of square cells.
struct Grid {
  int64_t step = 1, rows = 0, columns = 0;  // tokens in a cell's side
  std::vector<double> seen;                 // visible pairs of a cell
  int64_t tiles = 0, full = 0, pairs = 0;

  double share(const Pattern& pattern, int64_t r, int64_t c) const {
    const int64_t width = pattern.keys() + pattern.side_keys();
    const int64_t area = std::min(step, pattern.queries() - r * step) * std::min(step, width - c * step);
    return area > 0 ? std::min(1.0, seen[static_cast<size_t>(r * columns + c)] / static_cast<double>(area)) : 0;
  }
};

int64_t tensor_row(const Permutation& permutation, int64_t tile_row, int64_t rows) {
  return tile_row >= rows ? -1 : permutation.empty() ? tile_row : permutation.rows[static_cast<size_t>(tile_row)];
}

/// Adds the pairs of one tile. Without permutations a full tile, or any tile that lies in one cell, is added as a
/// whole.
void add_tile(const Pattern& pattern, int64_t query_tile, const TileEntry& entry, Grid& grid) {
  const TileRule& rule = pattern.rule(entry);
  const bool side = entry.column >= pattern.key_tiles();
  const int64_t first_query = query_tile * kPatternTile,
                first_key = (side ? entry.column - pattern.key_tiles() : entry.column) * kPatternTile;
  ++grid.tiles;
  grid.full += rule.is_full();
  const int64_t pairs = visible_pairs(pattern, query_tile, entry);
  grid.pairs += pairs;
  const bool straight = pattern.query_permutation().empty() && (side || pattern.key_permutation().empty());
  const int64_t first_column = first_key + (side ? pattern.keys() : 0);
  const auto cell = [&](int64_t i, int64_t c) -> double& {
    return grid.seen[static_cast<size_t>(i / grid.step * grid.columns + c / grid.step)];
  };
  if (straight && first_query / grid.step == (first_query + kPatternTile - 1) / grid.step &&
      first_column / grid.step == (first_column + kPatternTile - 1) / grid.step) {
    cell(first_query, first_column) += static_cast<double>(pairs);
    return;
  }
  for (int64_t r = 0; r < kPatternTile; ++r) {
    const int64_t i = tensor_row(pattern.query_permutation(), first_query + r, pattern.query_rows());
    if (i < 0) continue;
    for (int64_t c = 0; c < kPatternTile; ++c) {
      const int64_t j = side ? (first_key + c < pattern.side_keys() ? first_key + c : -1)
                             : tensor_row(pattern.key_permutation(), first_key + c, pattern.key_rows());
      if (j < 0) continue;
      Pair pair;
      pair.query = i + pattern.extent().query_offset;
      pair.key = j + (side ? pattern.side_offset() : pattern.extent().key_offset);
      if (rule.terms & kBits) pair.bit = (pattern.bit_table(rule.bit_table)[static_cast<size_t>(r)] >> c & 1) != 0;
      if (allows(rule, pair)) cell(i, side ? pattern.keys() + j : j) += 1;
    }
  }
}

Grid draw(const Pattern& pattern, int layout, int cells) {
  Grid grid;
  const int64_t width = pattern.keys() + pattern.side_keys(),
                longest = std::max<int64_t>({pattern.queries(), width, 1});
  grid.step = (longest + cells - 1) / cells;
  grid.rows = (pattern.queries() + grid.step - 1) / grid.step;
  grid.columns = (width + grid.step - 1) / grid.step;
  grid.seen.assign(static_cast<size_t>(grid.rows * grid.columns), 0.0);
  for (int64_t q = 0; q < pattern.query_tiles(); ++q) {
    for (const TileEntry& entry : pattern.row(layout, q)) add_tile(pattern, q, entry, grid);
  }
  return grid;
}

/// What is drawn and how much of it is visible; how it was cut.
struct Caption {
  std::string counts, cut;

  Caption(const Pattern& pattern, const Grid& grid) {
    const double all =
        static_cast<double>(pattern.queries()) * static_cast<double>(pattern.keys() + pattern.side_keys());
    counts = fmt::format("{} queries x {} keys", pattern.queries(), pattern.keys());
    if (pattern.side_keys() > 0) counts += fmt::format(" + {} side keys", pattern.side_keys());
    counts += fmt::format("; {} pairs visible ({:.2f} %)", grid.pairs,
                          all > 0 ? 100.0 * static_cast<double>(grid.pairs) / all : 0.0);
    cut = fmt::format("{} tile{} of {} x {} visited, {} of them full", grid.tiles, grid.tiles == 1 ? "" : "s",
                      kPatternTile, kPatternTile, grid.full);
    if (grid.step > 1) cut += fmt::format("; a cell is {} x {} tokens", grid.step, grid.step);
  }
};

constexpr size_t kLineLetters = 104;  // that fit a picture's width

/// The text cut between words into lines, as XML has to write it.
std::vector<std::string> note_lines(const std::string& text) {
  std::vector<std::string> lines;
  size_t letters = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const bool fits = !lines.empty() && letters + 1 + (end - at) <= kLineLetters;
    if (fits) lines.back() += ' ';
    else lines.emplace_back(), letters = 0;
    letters += end - at + (fits ? 1 : 0);
    for (const char c : text.substr(at, end - at)) lines.back() += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
    at = end + 1;
  }
  return lines;
}

}  // namespace

std::string text_picture(const Pattern& pattern, int layout, int cells) {
  const Grid grid = draw(pattern, layout, cells);
  constexpr char kShades[] = " .:+#";
  const Caption caption(pattern, grid);
  std::string out = caption.counts + "; " + caption.cut + "\n";
  for (int64_t r = 0; r < grid.rows; ++r) {
    std::string line;
    for (int64_t c = 0; c < grid.columns; ++c) {
      const double share = grid.share(pattern, r, c);
      line += kShades[share <= 0 ? 0 : share >= 1 ? 4 : 1 + std::min(2, static_cast<int>(share * 3))];
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

std::string svg_picture(const Pattern& pattern, const std::string& note, int layout, int cells) {
  const Grid grid = draw(pattern, layout, cells);
  const double size = 640.0 / static_cast<double>(std::max<int64_t>({grid.rows, grid.columns, 1}));
  const double width = size * static_cast<double>(grid.columns), height = size * static_cast<double>(grid.rows);
  const Caption caption(pattern, grid);
  std::vector<std::string> lines = {caption.counts, caption.cut};
  for (std::string& line : note_lines(note)) lines.push_back(std::move(line));
  lines.emplace_back("keys, left to right; queries, top to bottom");
  const auto top = static_cast<double>(18 * lines.size() + 12);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0f}\" height=\"{:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      std::max(width + 40, 680.0), height + top + 20);
  for (size_t i = 0; i < lines.size(); ++i) out += fmt::format("<text x=\"20\" y=\"{}\" fill=\"{}\">{}</text>\n", 20 + 18 * i, i < 2 ? "black" : "#555", lines[i]);
  out += fmt::format("<g transform=\"translate(20,{:.0f})\" fill=\"#1f4e79\" shape-rendering=\"crispEdges\">\n", top);
  for (int64_t r = 0; r < grid.rows; ++r) {
    for (int64_t c = 0; c < grid.columns;) {
      const double share = grid.share(pattern, r, c);
      int64_t run = 1;  // equal neighbours become one rectangle
      while (c + run < grid.columns && grid.share(pattern, r, c + run) == share) ++run;
      if (share > 0) {
        out += fmt::format("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\"",
                           size * static_cast<double>(c), size * static_cast<double>(r),
                           size * static_cast<double>(run), size);
        out += share >= 1 ? "/>\n" : fmt::format(" fill-opacity=\"{:.2f}\"/>\n", 0.15 + 0.85 * share);
      }
      c += run;
    }
  }
  out += fmt::format("<rect width=\"{:.2f}\" height=\"{:.2f}\" fill=\"none\" stroke=\"#555\"/>\n", width, height);
  if (pattern.side_keys() > 0) {
    const double x = size * static_cast<double>(pattern.keys()) / static_cast<double>(grid.step);
    out += fmt::format("<line x1=\"{:.2f}\" y1=\"0\" x2=\"{:.2f}\" y2=\"{:.2f}\" stroke=\"#a33\"/>\n", x, x, height);
  }
  return out + "</g>\n</svg>\n";
}

}  // namespace longhaul
