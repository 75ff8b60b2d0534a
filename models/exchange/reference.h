// defines: set_weights, public_gradients, host_tensor
//
// What loaders of reference cases share: weights of the public folder into a model, gradients back under public names.
#pragma once
#include <map>
#include <string>

#include "framework/base/io.h"
#include "models/exchange/name_map.h"
#include "models/model.h"

namespace longhaul::models {

/// Fills every parameter and buffer of the model from the public folder. throws CheckpointError when they do not fit
void set_weights(const Model& model, const io::Path& folder, const exchange::NameMap& names);

/// Adds "grad.<public name>" of every parameter of the model; buffers have none.
void public_gradients(const Model& model, const exchange::NameMap& names, std::map<std::string, Tensor>& out);

/// Row-major f32 (whole numbers as they are) on the host.
Tensor host_tensor(const Tensor& tensor);

}  // namespace longhaul::models
