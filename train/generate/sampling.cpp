#include "train/generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "framework/base/error.h"

namespace longhaul::train {
namespace {

struct Candidate {
  int32_t token;
  double weight;  // exp((logit - largest) / temperature)
};

// More likely first; ids decide between equals, so that the order is total.
bool before(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

}  // namespace

int32_t choose_token(std::span<const float> logits, const SamplingOptions& options, double uniform) {
  int32_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) continue;
    if (best < 0 || logits[i] > logits[static_cast<size_t>(best)]) best = static_cast<int32_t>(i);
  }
  check(best >= 0, "[generate] the model's logits are not numbers\n  hint: its weights may have diverged in training");
  if (options.temperature == 0) return best;

  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  const double largest = logits[static_cast<size_t>(best)];
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - largest) / options.temperature);
    if (weight > 0) candidates.push_back({static_cast<int32_t>(i), weight});
  }
  if (candidates.empty()) return best;  // infinite logits
  std::sort(candidates.begin(), candidates.end(), before);
  if (options.top_k > 0 && options.top_k < static_cast<int64_t>(candidates.size())) {
    candidates.resize(static_cast<size_t>(options.top_k));
  }
  double total = 0;
  for (const Candidate& c : candidates) total += c.weight;
  if (options.top_p < 1) {
    double kept = 0;
    size_t count = 0;
    while (count < candidates.size() && (count == 0 || kept < options.top_p * total))
      kept += candidates[count++].weight;
    candidates.resize(count);
    total = kept;
  }
  double left = uniform * total;
  for (const Candidate& c : candidates) {
    left -= c.weight;
    if (left < 0) return c.token;
  }
  return candidates.back().token;  // rounding
}

}  // namespace longhaul::train
