// defines: ReferenceCase, ReferenceLoader, UnsupportedCase, find_reference_loader
//
// Reference cases are stored results of a public implementation, or of a slow program written from the papers'
// formulas. A system's folder brings one small loader that feeds a case to the code that training runs.
#pragma once
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "framework/tensor/tensor.h"

namespace longhaul::models {

/// A case as it lies on disk, and where to compute it.
struct ReferenceCase {
  std::string name;                       // "axial/decoder_2d"
  std::string folder;                     // model cases: holds config.json and model.safetensors
  std::string meta;                       // text of meta.json
  std::map<std::string, Tensor> tensors;  // of case.safetensors, under its names, on the host in their stored dtype
  Device device;                          // where to compute
  DType dtype = DType::kF32;              // kF64: a definition on the reference device
};

/// A case that this build cannot run, with the reason.
class UnsupportedCase : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Runs the cases of one system.
class ReferenceLoader {
 public:
  virtual ~ReferenceLoader() = default;
  /// As in `system` or `family` of meta.json.
  virtual std::string_view system() const = 0;
  /// The tensors `out.*`, `grad.*` and, where hashing is to be checked, `aux.*` that the case lists, computed; on a
  /// host device. throws UnsupportedCase with the reason when this case cannot be run
  virtual std::map<std::string, Tensor> run(const ReferenceCase& reference) const = 0;
};

/// The loader of a system among those of all families; null when no family of this build has one.
const ReferenceLoader* find_reference_loader(std::string_view system);

}  // namespace longhaul::models
