// defines: Manifest, ManifestFile, ManifestTensor
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::checkpoint {

inline constexpr const char* kManifestName = "manifest.json";
inline constexpr int kFormatVersion = 1;

struct ManifestTensor {
  std::string name;
  std::string dtype;           // as in the safetensors header: "F32"
  std::vector<int64_t> shape;  // slowest axis first
  uint64_t begin = 0;          // bytes from the start of the file
  uint64_t end = 0;
  std::string sha256;  // of bytes [begin, end)
};

struct ManifestFile {
  std::string name;  // a plain file name
  uint64_t size = 0;
  std::string sha256;
  // Safetensors files only. Header and tensors cover the file without hole or overlap, so that their hashes vouch for
  // every byte and one pass over a large file suffices.
  std::string header_sha256;            // of the bytes before the first tensor
  std::vector<ManifestTensor> tensors;  // in the order of their bytes
};

/// What a checkpoint or model folder consists of. Its text ends with the SHA-256 of its own preceding bytes, so that
/// any changed bit of the folder is found: in the manifest by that hash, elsewhere by the hashes it lists.
struct Manifest {
  int64_t step = 0;
  int64_t cursor = 0;  // samples consumed by completed updates
  int world_size = 1;
  std::string config_hash;                  // SHA-256 of config.yaml
  std::string tokenizer_hash;               // SHA-256 of the tokenizer, empty without one
  std::map<std::string, std::string> data;  // path -> SHA-256
  std::vector<ManifestFile> files;          // sorted by name; never the manifest itself

  const ManifestFile* find(std::string_view file) const;
  std::string text() const;
  /// Checks the closing hash, the format version and every name, size and range. `where` begins the messages.
  /// throws CheckpointError
  static Manifest parse(std::string_view text, const std::string& where);
};

}  // namespace longhaul::checkpoint
