// defines: EffectiveContextRequest, EffectiveContexts, measure_effective_context, effective_context, to_json, to_text
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "models/model.h"

namespace longhaul::train {

/// The gain below which a longer context counts as none (Dai et al. 2019, appendix C).
inline constexpr double kLeastGain = 0.01;

/// A model of the group that is compared; `compute` is the dtype of its products.
struct ComparedModel {
  std::string name;
  const models::LanguageModel* model = nullptr;
  DType compute = DType::kF32;
};

struct EffectiveContextRequest {
  int64_t step = 100;     // tokens by which a context grows
  int64_t longest = 0;    // tokens of the last context, 2 steps or more
  int64_t batch = 0;      // windows at once; 0 = what fits
  std::vector<double> shares = {0.1, 0.5, 1.0};  // of the targets, those that the best model with the short context finds hardest
  /// Told the evaluation (a model with a context) that begins, from 0, of how many. Returning false ends with an error.
  std::function<bool(int64_t done, int64_t of)> progress = {};
};

/// Losses of one model in nats: [contexts][targets], for the same targets each time.
using LossesByContext = std::vector<std::vector<float>>;

/// One model of a group at one share of the targets.
struct EffectiveContext {
  int64_t steps = 0;          // the context, in steps
  bool reached_end = false;   // the gain was never below the least one: longer contexts might help still
  std::vector<double> gains;  // of context n + 2 steps over n + 1: the relative fall of the perplexity
};

/// Relative effective context length of every model of a group (Dai et al. 2019, appendix C): with b the smallest loss
/// of a target over all models at context c, and X the targets with the largest b,
///   f_i(c, c') = mean over X of min(b, loss of model i at c'),  gain = 1 - exp(f_i(c, c') - mean over X of b);
/// the length is the first c whose gain to the next one is below kLeastGain.
std::vector<EffectiveContext> effective_context(const std::vector<LossesByContext>& group, double share);

struct EffectiveContexts {
  int64_t step = 0, longest = 0, targets = 0;
  std::vector<double> shares;
  std::vector<std::string> names;
  std::vector<std::vector<EffectiveContext>> by_share;  // [shares][models]
  std::vector<std::vector<double>> losses;              // [models][contexts], means over all targets, nats a token
  double seconds = 0;
};

/// Scores the targets of a split that have `longest` + `step` tokens of their document before them with every context of
/// step, 2 step, .. tokens. A window of c + step - 1 tokens scores its last `step` targets, so a target sees c tokens and
/// fewer than `step` more. Memories of recurrent models are not used: nothing may pass the window.
/// throws ConfigError: longest below 2 steps, or more than a model's positions; DataError: no document is long enough
EffectiveContexts measure_effective_context(const std::vector<ComparedModel>& group,
                                            const std::shared_ptr<const data::TokenSource>& source,
                                            const EffectiveContextRequest& request);

std::string to_json(const EffectiveContexts& result);
std::string to_text(const EffectiveContexts& result);

}  // namespace longhaul::train
