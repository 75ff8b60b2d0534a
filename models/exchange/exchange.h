// defines: Family, FamilyReading, LongerPositions, ImportReport, import_model, read_public, tensor_names, public_files, export_model
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/base/io.h"
#include "framework/checkpoint/safetensors.h"
#include "models/exchange/name_map.h"
#include "models/model.h"

/// Public checkpoint folders (config.json, model.safetensors or shards with an index, tokenizer files) to model folders
/// and back. A model folder holds config.yaml, model.safetensors under our names, the tokenizer's files as they were,
/// manifest.json, public.json (family, config.json, and of every public file its metadata and each tensor's name, dtype
/// and shape) and, where the public folder has buffers, public.safetensors with those. Tensors keep their dtype. So
/// export(import(x)) has every tensor, name, dtype and metadata entry bitwise and an equal config.json.
namespace longhaul::models::exchange {

/// Where a family keeps a learned table of positions that may be made longer.
struct LongerPositions {
  std::string our_name;   // of the table, [rows, D]
  std::string key;        // of config.json: its rows
  int64_t reserved = 0;   // rows before that of the first position
  std::string changes = {};  // what else a longer table changes, said when it is asked for
};

/// What a family makes of a public folder.
struct FamilyReading {
  NameMap names;
  std::string yaml;  // the text of config.yaml
  std::optional<LongerPositions> positions = {};
  std::optional<ModelSpec> spec = {};  // the model that `yaml` describes
};

/// What a family brings. All functions throw CheckpointError or ConfigError for configurations they cannot represent.
struct Family {
  std::string name;                      // as in model.family
  std::vector<std::string> model_types;  // "model_type" of the config.json it reads
  std::function<NameMap(const std::string& config_json)> names;
  std::function<std::string(const std::string& config_json)> to_yaml;  // the text of config.yaml
  /// Instead of both, where the tensors decide as well: `tensors` are the public names that are there, none of them for a
  /// model trained here.
  std::function<FamilyReading(const std::string& config_json, const std::set<std::string>& tensors)> read = {};
  /// The text of config.json for a model trained here; empty: only imported models can be exported.
  std::function<std::string(const ModelSpec& trained)> to_json = {};

  FamilyReading reading_of(const std::string& config_json, const std::set<std::string>& tensors) const {
    return read ? read(config_json, tensors) : FamilyReading{names(config_json), to_yaml(config_json)};
  }
};

struct ImportReport {
  std::string family;
  int64_t tensors = 0;     // of ours
  int64_t parameters = 0;  // elements
  int64_t buffers = 0;     // kept aside
};

/// Reads the public folder `source` and writes the model folder `out`, which must not exist or be empty; it appears
/// whole or not at all. With `positions` above 0 a learned position table is made that long: its rows are repeated in order,
/// as Beltagy et al. 2020, section 5, made 4,096 positions of 512. throws CheckpointError naming file and tensor, or the
/// model_type that no family reads
ImportReport import_model(const io::Path& source, const io::Path& out, const std::vector<Family>& families, int64_t positions = 0);

/// Public names of the tensors of a folder.
std::set<std::string> tensor_names(const io::Path& folder);

/// The tensors of a public folder under our names. throws CheckpointError as import_model does
std::vector<checkpoint::NamedTensor> read_public(const io::Path& folder, const NameMap& map);

/// What of its public folder a run that goes on from an imported model keeps in its checkpoints, by file name: public.json,
/// public.safetensors, tokenizer files. Empty for a model that was not imported. throws CheckpointError
std::map<std::string, std::string> public_files(const io::Path& model);

/// Writes the public folder `out` from a model folder or a checkpoint folder. `trained` is the model of a checkpoint's
/// configuration, nothing for a folder as it was imported. With public.json the public configuration comes back, with what
/// training has changed; tensors have the public dtypes again. Without it, `ids` are keys of config.json that name ids of the
/// tokenizer; what the family says itself stays. throws CheckpointError
void export_model(const io::Path& model, const io::Path& out, const std::optional<ModelSpec>& trained,
                  const std::vector<Family>& families, const std::map<std::string, int64_t>& ids = {});

}  // namespace longhaul::models::exchange
