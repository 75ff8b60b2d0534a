// defines: evaluate_split
#pragma once
#include <memory>
#include <optional>

#include "train/evaluate/evaluate.h"
#include "train/trainer/corpora.h"
#include "train/trainer/stages.h"
#include "train/trainer/trainee.h"

namespace longhaul::train {

/// Scores a split with the weights of now, or with their average where one is kept: windows as long as the stage's
/// sequences, each target once. Nothing when a stop was asked for meanwhile.
std::optional<EvaluationResult> evaluate_split(const config::Config& config, const Stage& stage, const Trainee& trainee,
                                               const std::shared_ptr<const data::TokenSource>& source);

}  // namespace longhaul::train
