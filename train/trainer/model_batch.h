// defines: model_batch
#pragma once
#include "data/sampler/samples.h"
#include "models/model.h"

namespace longhaul::train {

/// A batch of samples as a model on `device` takes it. Causal windows read across documents as one text.
models::ModelBatch model_batch(const data::Batch& batch, Device device);

}  // namespace longhaul::train
