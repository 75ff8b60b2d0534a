// defines: read_generation_state, write_generation_state
#pragma once
#include "framework/base/io.h"
#include "train/generate/generate.h"

namespace longhaul::train {

/// A generation's state as a safetensors file: the memory, and in the metadata the last token, the model it belongs to and a
/// hash of it all. The file appears whole or not at all; an earlier one is replaced.
void write_generation_state(const io::Path& path, const GenerationState& state, const std::string& model);

/// throws CheckpointError when the file is damaged, none of these, or of another model than `model`
GenerationState read_generation_state(const io::Path& path, const std::string& model);

}  // namespace longhaul::train
