// defines: evaluate_split
#pragma once
#include <memory>
#include <optional>

#include "train/evaluate/evaluate.h"
#include "train/trainer/corpora.h"
#include "train/trainer/stages.h"
#include "train/trainer/trainee.h"

namespace longhaul::train {

/// Scores data.valid with the weights of now, or with their average where one is kept: windows (samples) as long as the
/// stage's sequences, each target once. Nothing when a stop was asked for meanwhile.
std::optional<EvaluationResult> evaluate_split(const config::Config& config, const Stage& stage, const Trainee& trainee,
                                               const Corpora& corpora);

}  // namespace longhaul::train
