// defines: stored_ids, stored_flags, needed_ids, in_training, set_weights, public_gradients, host_tensor
//
// What loaders of reference cases share: weights of the public folder into a model, gradients back under public names.
#pragma once
#include <map>
#include <string>

#include "framework/base/io.h"
#include "models/exchange/name_map.h"
#include "models/model.h"
#include "models/parity.h"

namespace longhaul::models {

/// Whole numbers of a case as i32, -1 where the public code has -100 for "not scored"; undefined where the case lacks them.
Tensor stored_ids(const ReferenceCase& reference, const std::string& name);
/// The same as u8.
Tensor stored_flags(const ReferenceCase& reference, const std::string& name);
/// stored_ids of what the case must have. throws DataError
Tensor needed_ids(const ReferenceCase& reference, const std::string& name);

/// True for a case recorded in training mode.
bool in_training(const ReferenceCase& reference);

/// Fills every parameter and buffer of the model from the public folder. throws CheckpointError when they do not fit
void set_weights(const Model& model, const io::Path& folder, const exchange::NameMap& names);

/// Adds "grad.<public name>" of every parameter of the model; buffers have none.
void public_gradients(const Model& model, const exchange::NameMap& names, std::map<std::string, Tensor>& out);

/// Row-major f32 (whole numbers as they are) on the host.
Tensor host_tensor(const Tensor& tensor);

}  // namespace longhaul::models
