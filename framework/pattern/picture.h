// defines: text_picture, svg_picture
#pragma once
#include <string>

#include "framework/pattern/pattern.h"

namespace longhaul {

/// Pictures read the tiles, rules and permutations that the kernels read. Rows are queries, columns keys, then side
/// keys. Up to `cells` rows and columns one cell is one token; beyond that a cell is a square of tokens shaded by the
/// share that is visible. Token facts (segments, buckets, globals) are not known to a picture: their terms count as
/// true.

/// Characters " .:+#", from nothing to all visible; a header line with sizes, visited tiles and visible pairs.
std::string text_picture(const Pattern& pattern, int layout = 0, int cells = 64);
/// A standalone SVG document; `note` stands under the counts, in as many lines as it needs.
std::string svg_picture(const Pattern& pattern, const std::string& note = {}, int layout = 0, int cells = 256);

}  // namespace longhaul
