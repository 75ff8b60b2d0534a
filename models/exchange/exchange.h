// defines: exchange::Family, ImportReport, import_model, read_public, export_model
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "framework/base/io.h"
#include "framework/checkpoint/safetensors.h"
#include "models/exchange/name_map.h"

/// Public checkpoint folders (config.json, model.safetensors or shards with an index, tokenizer files) to model folders
/// and back. A model folder holds config.yaml, model.safetensors under our names, the tokenizer's files as they were,
/// manifest.json, public.json (family, config.json, and of every public file its metadata and each tensor's name, dtype
/// and shape) and, where the public folder has buffers, public.safetensors with those. Tensors keep their dtype. So
/// export(import(x)) has every tensor, name, dtype and metadata entry bitwise and an equal config.json.
namespace longhaul::models::exchange {

/// What a family brings. All functions throw CheckpointError or ConfigError for configurations they cannot represent.
struct Family {
  std::string name;                      // as in model.family
  std::vector<std::string> model_types;  // "model_type" of the config.json it reads
  std::function<NameMap(const std::string& config_json)> names;
  std::function<std::string(const std::string& config_json)> to_yaml;  // the text of config.yaml
  /// The text of config.json for a model trained here; empty: only imported models can be exported.
  std::function<std::string(const std::string& config_yaml)> to_json;
};

struct ImportReport {
  std::string family;
  int64_t tensors = 0;     // of ours
  int64_t parameters = 0;  // elements
  int64_t buffers = 0;     // kept aside
};

/// Reads the public folder `source` and writes the model folder `out`, which must not exist or be empty; it appears
/// whole or not at all. throws CheckpointError naming file and tensor, or the model_type that no family reads
ImportReport import_model(const io::Path& source, const io::Path& out, const std::vector<Family>& families);

/// The tensors of a public folder under our names. throws CheckpointError as import_model does
std::vector<checkpoint::NamedTensor> read_public(const io::Path& folder, const NameMap& map);

/// Writes the public folder `out` from a model folder or a checkpoint folder. `family` is the name from the
/// configuration; it is used when the folder has no public.json. Floating-point tensors whose dtype has changed since
/// the import (by training) are converted back. throws CheckpointError
void export_model(const io::Path& model, const io::Path& out, const std::string& family,
                  const std::vector<Family>& families);

}  // namespace longhaul::models::exchange
