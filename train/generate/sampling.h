// defines: SamplingOptions, choose_token
#pragma once
#include <cstdint>
#include <span>

namespace longhaul::train {

struct SamplingOptions {
  double temperature = 1;  // divides the logits; 0 takes the most likely token
  int64_t top_k = 0;       // only the k most likely tokens; 0 = all
  double top_p = 1;        // only the most likely tokens that together reach this probability; 1 = all
};

/// The token that a uniform number in [0, 1) picks: temperature first, then top-k, then top-p over what is left
/// (Holtzman et al. 2020, section 3.1). Of equal logits the smaller id counts as more likely. Logits that are not
/// numbers are never picked.
/// throws FailureError when no logit is a number
int32_t choose_token(std::span<const float> logits, const SamplingOptions& options, double uniform);

}  // namespace longhaul::train
