// defines: the objectives, each in the file of its name
#pragma once
#include "data/objectives/objective.h"

namespace longhaul::data {

/// Special ids of a row that an encoder reads: begin, text, end.
inline constexpr WantedIds kEncoderIds{.rows = true, .begin = true, .end = true, .pad = true, .mask = true};
/// Special ids of a source and a target.
inline constexpr WantedIds kTwoSidedIds{.end = true, .pad = true, .mask = true};

ObjectiveInfo causal_objective();
ObjectiveInfo completion_objective();
ObjectiveInfo masked_objective();
ObjectiveInfo span_corruption_objective();
ObjectiveInfo gap_sentences_objective();
ObjectiveInfo seq2seq_objective();
ObjectiveInfo classify_objective();
ObjectiveInfo question_answering_objective();

}  // namespace longhaul::data
