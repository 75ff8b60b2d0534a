// defines: Tape, TapeScope, NoTapeScope, BackwardContext, record
#pragma once
#include <functional>
#include <initializer_list>
#include <span>
#include <vector>

#include "framework/autograd/variable.h"

namespace longhaul {

/// A gradient to be written by a kernel: `tensor` is filled anew, or added to when `accumulate` is set.
struct GradientBuffer {
  Tensor tensor;
  bool accumulate = false;
};

/// What a backward function sees: gradients of the op's outputs, and where those of its inputs go.
class BackwardContext {
 public:
  /// Gradient of an output; undefined when nothing depends on it.
  const Tensor& gradient(int output = 0) const;
  /// The same, handed over: when nobody else shares it, it may be overwritten and its memory ends with the caller's use.
  Tensor take(int output = 0) const { return std::move(gradients_[output]); }
  bool needs(int input) const;
  /// Adds a gradient; `gradient` may be shared and is then never written to.
  void give(int input, const Tensor& gradient) const;
  /// The buffer of an input, for kernels that add in place (weight gradients). Call once per input and fill it.
  GradientBuffer buffer(int input) const;

 private:
  friend class Tape;
  BackwardContext(std::span<const std::shared_ptr<GradientSlot>> inputs, std::span<Tensor> gradients)
      : inputs_(inputs), gradients_(gradients) {}
  std::span<const std::shared_ptr<GradientSlot>> inputs_;
  std::span<Tensor> gradients_;
};

using BackwardFunction = std::function<void(const BackwardContext&)>;

/// The list of operations since a scope began, replayed in reverse. Each record is dropped as soon as its backward has run,
/// and with it the tensors it saved.
class Tape {
 public:
  /// The tape of the innermost scope of this thread; null where nothing is recorded.
  static Tape* current();

  /// Makes variables of `outputs` and remembers how their gradients reach `inputs`.
  std::vector<Variable> record(const char* name, std::span<const Tensor> outputs, std::span<const Variable> inputs, BackwardFunction backward);
  /// Starts from d(root) = seed (same shape; undefined = 0) for each root and empties the tape.
  void backward(std::span<const Variable> roots, std::vector<Tensor> seeds);
  void backward(const Variable& root, const Tensor& seed) { backward({&root, 1}, {seed}); }
  size_t size() const { return records_.size(); }

 private:
  struct Record {
    const char* name;
    std::vector<std::shared_ptr<GradientSlot>> inputs;
    std::vector<std::shared_ptr<GradientSlot>> outputs;
    BackwardFunction backward;
  };
  std::vector<Record> records_;
};

/// Operations of this thread are recorded on a new tape while the scope lives.
class TapeScope {
 public:
  TapeScope();
  ~TapeScope();
  TapeScope(const TapeScope&) = delete;
  TapeScope& operator=(const TapeScope&) = delete;
  Tape& tape() { return tape_; }

 private:
  Tape tape_;
  Tape* previous_;
};

/// Nothing is recorded while the scope lives.
class NoTapeScope {
 public:
  NoTapeScope();
  ~NoTapeScope();
  NoTapeScope(const NoTapeScope&) = delete;
  NoTapeScope& operator=(const NoTapeScope&) = delete;

 private:
  Tape* previous_;
};

/// How an op ends: its result as a variable, recorded when a tape is current and an input (or, with `always`, a parameter
/// used inside) wants a gradient.
Variable record(const char* name, const Tensor& output, std::initializer_list<Variable> inputs, BackwardFunction backward);
std::vector<Variable> record(const char* name, std::span<const Tensor> outputs, std::span<const Variable> inputs, BackwardFunction backward,
                             bool always = false);
/// True when an op with these inputs will be recorded, so it must save what its backward needs.
bool will_record(std::initializer_list<Variable> inputs);

}  // namespace longhaul
