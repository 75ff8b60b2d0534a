#include "models/longformer/model.h"

#include <algorithm>
#include <array>
#include <limits>

#include "framework/pattern/builder.h"
#include "models/common/token_model.h"
#include "models/longformer/attention.h"

namespace longhaul::models {

std::vector<std::shared_ptr<PatternCache>> longformer_patterns(const LongformerOptions& options, bool causal) {
  std::vector<std::pair<LongformerWindow, std::shared_ptr<PatternCache>>> known;
  std::vector<std::shared_ptr<PatternCache>> out;
  for (int layer = 0; layer < options.body.layers; ++layer) {
    const LongformerWindow window = options.window_of(layer, causal);
    auto found = std::ranges::find_if(known, [&](const auto& entry) { return entry.first == window; });
    if (found == known.end()) {
      known.emplace_back(window, std::make_shared<PatternCache>([window](const Extent& extent, int64_t side_keys) { return longformer_pattern(extent, window, side_keys); }));
      found = known.end() - 1;
    }
    out.push_back(found->second);
  }
  return out;
}

std::unique_ptr<LanguageModel> build_longformer(const ModelSpec& spec, nn::Initializer& init) {
  const auto& options = dynamic_cast<const LongformerOptions&>(*spec.options);
  const bool causal = spec.form == Form::kDecoder;
  return build_token_model(spec, [&options, causal, patterns = longformer_patterns(options, causal)](int layer, nn::Initializer& with) -> std::unique_ptr<Mixer> {
    const auto attention = SelfAttentionOptions::from(options.body, layer);
    const auto& own = patterns[static_cast<size_t>(layer)];
    if (causal) return std::make_unique<SelfAttention>(attention, own, with);
    return std::make_unique<GlobalWindowAttention>(attention, options.globals(), own, with);
  }, init, {.head = head_layout(options.layout, options.body), .input = input_options(options.layout, options.body)});
}

namespace {

/// The global positions that need no data.
std::vector<int64_t> drawn_globals(const LongformerOptions& options, int64_t length) {
  if (options.global_tokens == GlobalChoice::kFirst && length > 0) return {0};
  std::vector<int64_t> out;
  if (options.global_tokens != GlobalChoice::kList) return out;
  std::ranges::copy_if(options.global_positions, std::back_inserter(out), [length](int64_t position) { return position < length; });
  std::ranges::sort(out);
  return out;
}

}  // namespace

Pattern longformer_picture(const LongformerOptions& options, Form form, const Extent& extent) {
  const LongformerWindow window = options.window_of(0, form != Form::kEncoder);
  const Pattern local = longformer_pattern(extent, window, 0);
  const std::vector<int64_t> globals = form == Form::kEncoder ? drawn_globals(options, extent.keys) : std::vector<int64_t>();
  if (globals.empty()) return local;
  // Bits of each tile: the window of the first head, the rows and the columns of the global tokens.
  const int64_t step = std::min(window.dilated() ? window.dilation.front() : 1, extent.keys);
  const int64_t left = std::min(window.left, extent.keys) * step, right = std::min(window.right, extent.keys) * step;
  PatternBuilder builder(extent);
  const auto is_global = [&](int64_t position) { return std::ranges::binary_search(globals, position); };
  const auto has_global = [&](Interval tile) { return std::ranges::any_of(globals, [&](int64_t g) { return g >= tile.first && g <= tile.last; }); };
  TileRule band;
  const auto narrow = [](int64_t value) { return static_cast<int32_t>(std::min<int64_t>(value, std::numeric_limits<int32_t>::max())); };
  band.terms = kBand | (step > 1 ? kStride : 0u);
  band.band_lo = -narrow(left), band.band_hi = narrow(right), band.stride = narrow(step);
  for (int64_t q = 0; q < builder.query_tiles(); ++q) {
    for (int64_t k = 0; k < builder.key_tiles(); ++k) {
      const Interval rows = builder.query_positions(q), columns = builder.key_positions(k);
      if (!has_global(rows) && !has_global(columns)) {
        builder.add(0, q, k, band);
        continue;
      }
      std::array<uint64_t, kPatternTile> bits{};
      for (int64_t i = rows.first; i <= rows.last; ++i) {
        for (int64_t j = columns.first; j <= columns.last; ++j) {
          const bool seen = is_global(i) || is_global(j) || (j - i >= -left && j - i <= right && (j - i) % step == 0);
          bits[static_cast<size_t>(i - rows.first)] |= static_cast<uint64_t>(seen) << (j - columns.first);
        }
      }
      TileRule exact;
      exact.terms = kBits;
      exact.bit_table = builder.bit_table(bits);
      builder.add(0, q, k, exact);
    }
  }
  return builder.build();
}

}  // namespace longhaul::models
