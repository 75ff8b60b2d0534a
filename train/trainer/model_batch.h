// defines: model_batch
#pragma once
#include "data/sampler/samples.h"
#include "models/model.h"

namespace longhaul::train {

/// A batch of samples as a model on `device` takes it. Causal windows read across documents as one text. `memory` is what
/// a recurrent model carries; where it knows documents, tokens see only those of their own.
models::ModelBatch model_batch(const data::Batch& batch, Device device, models::SegmentMemory* memory = nullptr);

}  // namespace longhaul::train
