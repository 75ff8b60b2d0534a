#include "models/bigbird/random_blocks.h"

#include <algorithm>
#include <numeric>

#include "framework/base/error.h"
#include "framework/tensor/random.h"
#include "models/bigbird/numpy_random.h"

namespace longhaul::models {
namespace {

/// Numbers first .. last - 1.
std::vector<int32_t> numbers(int64_t first, int64_t last) {
  std::vector<int32_t> out(static_cast<size_t>(std::max<int64_t>(last - first, 0)));
  std::iota(out.begin(), out.end(), static_cast<int32_t>(first));
  return out;
}

RandomBlocks empty_table(const RandomBlockShape& shape) {
  RandomBlocks out{shape.heads, std::max<int64_t>(shape.count() - 2, 0), shape.slots, 1, {}};
  out.blocks.resize(static_cast<size_t>(out.heads * out.rows * out.slots));
  return out;
}

void need(int64_t found, const RandomBlockShape& shape, int64_t row) {
  check<ConfigError>(found >= shape.slots,
                     "[bigbird] {} tokens in blocks of {}: block {} has {} candidates for {} random blocks\n"
                     "  hint: fewer model.random_blocks, or model.random: counter",
                     shape.length, shape.block, row, found, shape.slots);
}

/// Candidates of one row of the table for the lengths of the paper: the middle blocks before `last` without the row's own
/// neighbourhood. mid[t] = t + 1.
std::vector<int32_t> paper_candidates(int64_t row, int64_t blocks, int64_t last) {
  const auto middle = [blocks](int64_t first, int64_t end) { return numbers(first + 1, std::min(end, blocks - 2) + 1); };
  if (row == 1) return middle(2, last);
  if (row == 2) return middle(3, last);
  if (row == blocks - 3 || row == blocks - 2) return middle(0, last);
  if (row - 2 > last) return middle(0, last);
  std::vector<int32_t> out = middle(0, row - 2);
  if (row + 1 == last) return out;
  const std::vector<int32_t> behind = middle(row + 1, last);
  out.insert(out.end(), behind.begin(), behind.end());
  return out;
}

constexpr int64_t kPaperKeys = 1024;  // random keys lie in the first tokens

RandomBlocks paper_table(const RandomBlockShape& shape, int64_t max_positions, NumpyRandom& random) {
  const int64_t blocks = max_positions / shape.block;  // of the table that is drawn
  const int64_t last = (kPaperKeys > 2 * shape.block ? kPaperKeys / shape.block : blocks) - 1;
  RandomBlocks out = empty_table(shape);
  check<ConfigError>(blocks >= shape.count(),
                     "[bigbird] {} tokens: the public table is drawn for model.max_positions = {}, which is less",
                     shape.length, max_positions);
  int32_t* to = out.blocks.data();
  for (int64_t head = 0; head < shape.heads; ++head) {
    for (int64_t row = 1; row < blocks - 1; ++row) {
      const std::vector<int32_t> drawn = random.permutation(paper_candidates(row, blocks, last));
      need(static_cast<int64_t>(drawn.size()), shape, row);
      if (row <= out.rows) to = std::copy_n(drawn.begin(), shape.slots, to);
    }
  }
  return out;
}

/// Key blocks [begin, end) that get `count` of the slots, from slot `first` on.
struct Segment {
  int64_t begin, end, first, count;
};

std::vector<Segment> plan_of(const RandomBlockShape& shape) {
  const int64_t blocks = shape.count(), r = shape.slots;
  if (2 * r + 5 < blocks) return {{0, 2 * r + 5, 0, r}, {2 * r + 5, blocks, r, 0}};
  if (r + 5 < blocks) return {{0, r + 5, 0, r / 2}, {r + 5, blocks, r / 2, r - r / 2}};
  return {{0, blocks, 0, r}};
}

RandomBlocks planned_table(const RandomBlockShape& shape, NumpyRandom& random) {
  RandomBlocks out = empty_table(shape);
  // Row 0 never draws; the last row draws and its blocks are dropped.
  const auto draw_rows = [&](int64_t first, int64_t end, const Segment& from) {
    for (int64_t row = first; row < end; ++row) {
      for (int64_t head = 0; head < shape.heads; ++head) {
        int64_t taken = 0;
        for (const int32_t block : random.permutation(numbers(from.begin, from.end))) {
          if (taken == from.count) break;
          const bool near = block >= row - 1 && block <= row + 1;
          const bool global = block == 0 || block == from.end - 1;
          const bool corner = (row == 1 && block == from.end - 2) || (row == from.end - 2 && block == 1);
          if (near || global || corner) continue;
          if (row <= out.rows)
            out.blocks[static_cast<size_t>((head * out.rows + row - 1) * out.slots + from.first + taken)] = block;
          ++taken;
        }
        if (row <= out.rows) need(taken + shape.slots - from.count, shape, row);
      }
    }
  };
  const std::vector<Segment> plan = plan_of(shape);
  for (size_t p = 0; p < plan.size(); ++p) {
    if (p > 0) {
      if (plan[p].count > 0) draw_rows(1, plan[p].begin, plan[p]);
      for (size_t q = 0; q < p; ++q) {
        if (plan[q].count > 0) draw_rows(plan[p].begin, plan[p].end, plan[q]);
      }
    }
    if (plan[p].count > 0) draw_rows(p == 0 ? 1 : plan[p].begin, plan[p].end, plan[p]);
  }
  return out;
}

}  // namespace

RandomBlocks public_random_blocks(const RandomBlockShape& shape, int64_t max_positions, int layer) {
  if (shape.slots == 0 || shape.count() < 3) return empty_table(shape);
  NumpyRandom random(static_cast<uint32_t>(layer));
  const int64_t padded = shape.count() * shape.block;
  if (padded == 1024 || padded == 3072 || padded == 4096) return paper_table(shape, max_positions, random);
  return planned_table(shape, random);
}

RandomBlocks first_block_lists(const RandomBlockShape& shape) {
  RandomBlockShape shared = shape;
  shared.heads = 1;
  return empty_table(shared);
}

int64_t draw_block(uint64_t seed, int layer, uint64_t index, int64_t count) {
  const RandomStream stream{.seed = seed, .step = 0, .layer = static_cast<uint32_t>(layer), .purpose = RandomPurpose::kRandomBlocks};
  return static_cast<int64_t>(static_cast<uint64_t>(stream.word(index)) * static_cast<uint64_t>(count) >> 32);
}

}  // namespace longhaul::models
