// defines: reformer_mixers, build_reformer, build_sequence_reformer, reformer_picture
#pragma once
#include "models/common/mixer.h"
#include "models/model.h"
#include "models/reformer/options.h"

namespace longhaul::models {

/// The attention of every layer of a decoder or an encoder.
MixerFactory reformer_mixers(const ReformerOptions& options);

std::unique_ptr<LanguageModel> build_reformer(const ModelSpec& spec, nn::Initializer& init);
std::unique_ptr<SequenceModel> build_sequence_reformer(const ModelSpec& spec, nn::Initializer& init);

/// Who sees whom in the first hashed layer under one round of random buckets; without such a layer in the first one.
Pattern reformer_picture(const ReformerOptions& options, const Extent& extent);

}  // namespace longhaul::models
