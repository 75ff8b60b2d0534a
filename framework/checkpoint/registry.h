// defines: Section, NamedTensor, StateRegistry, CapturedState, capture
#pragma once
#include <map>
#include <string>
#include <vector>

#include "framework/base/state.h"
#include "framework/tensor/tensor.h"

namespace longhaul::checkpoint {

/// The file that receives the tensors of a part.
enum class Section {
  kModel,      // model.safetensors: names as the part gives them
  kOptimizer,  // optimizer.safetensors: names as the part gives them
  kState,      // state.safetensors: "<part>.<name>"
};
/// "model.safetensors", "optimizer.safetensors", "state.safetensors"
const char* file_name(Section section);

struct NamedTensor {
  std::string name;
  Tensor tensor;  // on a host device; views are fine
};

/// Every stateful part of a run under its name. A checkpoint holds exactly the registered parts: a part or an entry
/// that is missing or unknown is an error. Parts are referred to and must outlive the registry.
class StateRegistry {
 public:
  /// `name` is unique and holds no '.'; one part at most in kModel and in kOptimizer.
  void add(const std::string& name, Section section, Stateful& part);

  struct Part {
    Section section;
    Stateful* state;
  };
  const std::map<std::string, Part>& parts() const { return parts_; }

 private:
  std::map<std::string, Part> parts_;
};

/// What the parts hold at one moment; tensors share their storage with the parts.
struct CapturedState {
  std::map<Section, std::vector<NamedTensor>> tensors;
  std::string scalars;  // the text of state.json
  /// SHA-256 (hex) over names, dtypes, shapes, tensors and scalars: equal exactly when the state is.
  std::string hash() const;
};

CapturedState capture(const StateRegistry& registry);

}  // namespace longhaul::checkpoint
