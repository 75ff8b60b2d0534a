// defines: Workspace, load_text, error_of
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "framework/base/error.h"
#include "train/config/load.h"

namespace longhaul::config {

/// A fresh folder that is the working directory while it lives.
class Workspace {
 public:
  Workspace() : before_(std::filesystem::current_path()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "longhaul-config-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    std::filesystem::current_path(folder_);
  }
  ~Workspace() {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(folder_);
  }
  void write(const std::string& name, const std::string& text) const {
    if (const auto parent = std::filesystem::path(name).parent_path(); !parent.empty()) {
      std::filesystem::create_directories(parent);
    }
    std::ofstream(name, std::ios::binary) << text;
  }
  std::string folder() const { return std::filesystem::canonical(folder_).string(); }

 private:
  std::filesystem::path before_, folder_;
};

/// The two sections without which nothing runs.
inline const std::string kLeast = "data: {train: [a.txt]}\ntrain: {steps: 10}\n";

inline Loaded load_text(const std::string& text, const std::vector<std::string>& overrides = {}) {
  Workspace space;
  space.write("run.yaml", text);
  return load_config("run.yaml", overrides);
}

/// The message of the error that loading `text` ends with; "" when it loads.
inline std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    load_text(text, overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace longhaul::config
