// defines: nn::Module, nn::NamedParameter, nn::Initializer, nn::StepContext
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "framework/autograd/variable.h"
#include "framework/nn/gauges.h"
#include "framework/tensor/random.h"

namespace longhaul::nn {

/// What a forward pass needs besides its inputs. All randomness of a step is a function of these fields.
struct StepContext {
  bool training = false;          // dropout is on
  uint64_t seed = 0;
  uint64_t step = 0;
  int64_t first_row = 0;          // global row (sequence of the step's batch) of row 0
  DType compute = DType::kF32;    // operands of products; the residual stream stays f32 (f64 for f64)
  Gauges* gauges = nullptr;       // receives figures of this pass and its backward; null: none are made
  uint32_t first_layer = 0;       // number of layer 0 among all that draw: the stacks of a model draw apart

  RandomStream stream(uint32_t layer, RandomPurpose purpose) const { return {seed, step, first_layer + layer, purpose}; }
};

struct NamedParameter {
  std::string name;  // "layers.0.attention.qkv.weight"
  Variable variable;
};

/// A part of a model: named parameters and named parts, in the order they were added. Not copied or moved, because parents
/// point at their parts.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Every parameter once, with its full name; a tied one under the name it was first added with. Buffers, which are saved
  /// and loaded like parameters but not trained, are among them: their variable needs no gradient.
  std::vector<NamedParameter> parameters() const;

 protected:
  void add(std::string name, const Variable& parameter);
  /// An empty name adds the part's own entries without a level of their own.
  void add(std::string name, Module& part);

 private:
  void collect(const std::string& prefix, std::vector<NamedParameter>& into) const;
  struct Entry {
    std::string name;
    Variable parameter;
    Module* part = nullptr;
  };
  std::vector<Entry> entries_;
};

/// Makes parameters. Values come from counter-based randomness: parameter number k (in order of creation) draws from its own
/// stream, so they depend on the seed and the model's structure only. On meta only shapes are made.
class Initializer {
 public:
  Initializer(uint64_t seed, Device device, DType dtype) : seed_(seed), device_(device), dtype_(dtype) {}
  /// Normal with mean 0.
  Variable normal(const Shape& shape, double deviation);
  Variable constant(const Shape& shape, double value);
  /// A tensor of the model that is not trained.
  Variable buffer(const Shape& shape, double value);
  Device device() const { return device_; }
  DType dtype() const { return dtype_; }

 private:
  Variable make(const Shape& shape, const std::function<double(int64_t)>& value);
  uint64_t seed_;
  uint32_t made_ = 0;
  Device device_;
  DType dtype_;
};

}  // namespace longhaul::nn
