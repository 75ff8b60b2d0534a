// defines: evaluate_split
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "train/evaluate/evaluate.h"
#include "train/trainer/corpora.h"
#include "train/trainer/stages.h"
#include "train/trainer/trainee.h"

namespace longhaul::train {

/// Scores a split with the weights of now, or with their average where one is kept: windows (samples) as long as the
/// stage's sequences, each target once. `told` hears after each batch how many targets are scored, of how many. Nothing when a
/// stop was asked for meanwhile.
std::optional<EvaluationResult> evaluate_split(const config::Config& config, const Stage& stage, const Trainee& trainee,
                                               const data::Objective& objective, const data::Split& split,
                                               const std::function<void(int64_t scored, int64_t of)>& told);

}  // namespace longhaul::train
