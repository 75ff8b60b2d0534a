// defines: FreshFolder, PublicFile, PublicFolder: the two kinds of folders as import and export see them
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/io.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::models::exchange {

inline constexpr const char* kPublicJson = "public.json";
inline constexpr const char* kPublicBuffers = "public.safetensors";
inline constexpr const char* kConfigJson = "config.json";
inline constexpr const char* kWeightsIndex = "model.safetensors.index.json";
inline constexpr const char* kConfigYaml = "config.yaml";

/// A folder that is filled under a temporary name and appears whole at commit(); without it everything is removed.
class FreshFolder {
 public:
  /// throws CheckpointError when `target` exists and is not an empty folder
  explicit FreshFolder(const io::Path& target);
  ~FreshFolder();
  FreshFolder(const FreshFolder&) = delete;
  FreshFolder& operator=(const FreshFolder&) = delete;
  const io::Path& path() const { return temporary_; }
  void commit();

 private:
  io::Path target_;
  io::Path temporary_;
  bool committed_ = false;
};

/// A safetensors file of a public folder without its bytes.
struct PublicFile {
  std::string name;
  std::map<std::string, std::string> metadata;
  std::vector<checkpoint::SafetensorsEntry> tensors;  // name, dtype and shape
};

/// The content of public.json.
struct PublicFolder {
  std::string family;
  std::string config;  // config.json
  std::vector<PublicFile> files;
  std::vector<std::string> others;  // tokenizer files and the like, kept under their names
  std::string text() const;
  /// throws CheckpointError; `where` begins the messages
  static PublicFolder parse(std::string_view text, const std::string& where);
};

/// Files besides weights and config.json that belong to a public folder, as far as they are there.
std::vector<std::string> other_files(const io::Path& folder);
/// The safetensors files of a public folder: model.safetensors, or those that model.safetensors.index.json names.
std::vector<std::string> weight_files(const io::Path& folder);

}  // namespace longhaul::models::exchange
