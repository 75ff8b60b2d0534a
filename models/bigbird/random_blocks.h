// defines: RandomBlocks, public_random_blocks, first_block_lists, counter_random_blocks
#pragma once
#include <cstdint>
#include <vector>

namespace longhaul::models {

/// The random key blocks of every head and query block; a block may be listed several times.
struct RandomBlocks {
  int64_t heads = 1, rows = 0, slots = 0;
  int64_t first_row = 0;        // query block of row 0
  std::vector<int32_t> blocks;  // [heads][rows][slots]

  const int32_t* at(int64_t head, int64_t row) const { return blocks.data() + ((heads > 1 ? head : 0) * rows + row) * slots; }
};

/// Sizes that decide a table.
struct RandomBlockShape {
  int64_t length = 0;  // tokens; the last block may be filled up
  int64_t block = 64;
  int64_t slots = 3;
  int64_t heads = 1;
  int64_t count() const { return (length + block - 1) / block; }  // blocks
};

/// The table of rows 1 .. blocks - 2 that the public code of BigBird (Zaheer et al. 2020) draws for a layer: NumPy's legacy
/// generator seeded with the layer. Lengths of 1024, 3072 and 4096 (filled up) take the first rows of a table drawn for
/// `max_positions` tokens, with keys among the first 1024; others draw from the first blocks.
/// throws ConfigError where a row has fewer candidates than slots, as the public code does
RandomBlocks public_random_blocks(const RandomBlockShape& shape, int64_t max_positions, int layer);

/// Block 0 in every slot: what transformers lists in evaluation.
RandomBlocks first_block_lists(const RandomBlockShape& shape);

/// Rows first_row .. first_row + rows - 1: for each head and row `slots` different blocks out of those the row does not
/// already see (`seen(row)`, ascending), or all of them where there are fewer; a function of (seed, layer, head, row) alone.
template <typename Seen>
RandomBlocks counter_random_blocks(const RandomBlockShape& shape, int64_t first_row, int64_t rows, uint64_t seed, int layer,
                                   Seen seen);

/// A number in [0, count) for slot `slot` of a row.
int64_t draw_block(uint64_t seed, int layer, uint64_t index, int64_t count);

template <typename Seen>
RandomBlocks counter_random_blocks(const RandomBlockShape& shape, int64_t first_row, int64_t rows, uint64_t seed, int layer,
                                   Seen seen) {
  RandomBlocks out{shape.heads, rows, shape.slots, first_row, {}};
  for (int64_t head = 0; head < shape.heads; ++head) {
    for (int64_t row = first_row; row < first_row + rows; ++row) {
      std::vector<int64_t> taken = seen(row);
      for (int64_t slot = 0; slot < shape.slots; ++slot) {
        const int64_t left = shape.count() - static_cast<int64_t>(taken.size());
        if (left <= 0) {
          out.blocks.push_back(-1);
          continue;
        }
        const auto index = static_cast<uint64_t>((head * shape.count() + row) * shape.slots + slot);
        int64_t block = draw_block(seed, layer, index, left);  // among the blocks that are not taken
        auto place = taken.begin();
        for (; place != taken.end() && *place <= block; ++place) ++block;
        taken.insert(place, block);
        out.blocks.push_back(static_cast<int32_t>(block));
      }
    }
  }
  return out;
}

}  // namespace longhaul::models
