// defines: TinyRun
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/registry.h"

namespace longhaul::checkpoint {

/// Tensors whose values, and one counter that, follow from the step alone.
class TinyPart final : public Stateful {
 public:
  TinyPart(std::string salt, const std::vector<NamedTensor>& tensors) : salt_(std::move(salt)), tensors_(tensors) {}
  void set_step(int64_t step);
  void save_state(StateWriter& out) const override;
  void load_state(StateReader& in) override;
  int64_t step() const { return step_; }

 private:
  std::string salt_;
  std::vector<NamedTensor> tensors_;
  int64_t step_ = 0;
};

/// A run of four parts whose whole state is a function of the step; a checkpoint of it has about 16 KiB.
class TinyRun {
 public:
  TinyRun();
  void set_step(int64_t step);
  CheckpointContent content() const;
  StateRegistry& registry() { return registry_; }
  /// The hash of the state as it is now.
  std::string hash() const { return capture(registry_).hash(); }
  /// The hash of the state at a step.
  static std::string hash_at(int64_t step);
  /// Steps of all parts; equal unless parts of different checkpoints were mixed.
  int64_t step() const;

  /// Saves `step` with the given retention.
  static SaveReport save(const io::Path& checkpoints, int64_t step,
                         const Retention& retention = {.keep = 2, .pinned = {}});
  /// Loads the newest sound checkpoint and checks its state against the step it claims. Returns the step, or -1 with no
  /// checkpoint, or -2 when the state is not that of its step.
  static int64_t recovered_step(const io::Path& checkpoints);

 private:
  std::vector<std::unique_ptr<TinyPart>> parts_;
  StateRegistry registry_;
  int64_t step_ = 0;
};

}  // namespace longhaul::checkpoint
