// defines: SequenceInfo, Mixer, MixerState, MixerFactory, gather_rows
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "framework/nn/module.h"
#include "models/common/selections.h"

namespace longhaul::models {

/// The sequence that a stack of layers works on.
struct SequenceInfo {
  int64_t batch = 0, length = 0;
  int64_t first_position = 0;  // position of token 0; more than 0 while decoding with a cache
  Tensor positions;            // [N] i32: first_position, first_position + 1, ...
  Tensor documents;            // [B, N] i32 or undefined; tokens see only tokens of the same number
  Tensor valid;                // [B, N] u8 or undefined; 0 = nobody sees it
  Tensor focus;                // [B, N] u8 or undefined; see ModelInputs
  std::vector<Variable>* hidden_states = nullptr;  // receives the residual stream of a stack, see LayerStack::forward
  Tensor tokens = {};          // [B, N] i32 or undefined
  Tensor token_types = {};     // [B, N] i32 or undefined; see ModelInputs
  Tensor rows = {};            // [M] i32 or undefined; see LayerStack::forward
  std::shared_ptr<Selections> selections = {};  // of this pass; never null inside a stack
};

/// What a mixer keeps of the tokens it has seen while decoding.
class MixerState {
 public:
  virtual ~MixerState() = default;
  /// Row r of the batch becomes a copy of what row rows[r] is now; their number may change. False where a mixer cannot: the
  /// state is of no use then.
  virtual bool select(std::span<const int64_t>) { return false; }
};

/// Row r of the result is row rows[r] of x [B, ..].
Tensor gather_rows(const Tensor& x, std::span<const int64_t> rows);

/// The part of a layer in which tokens exchange information; what a family brings.
class Mixer : public nn::Module {
 public:
  /// hidden [B, N, D] in context.compute -> [B, N, D].
  virtual Variable forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const = 0;
  /// An empty cache for `batch` sequences of at most `capacity` tokens.
  virtual std::unique_ptr<MixerState> start(int64_t batch, int64_t capacity, const nn::StepContext& context) const = 0;
  /// The next `sequence.length` tokens of a sequence whose first `sequence.first_position` tokens are in the state.
  virtual Variable step(const Variable& hidden, MixerState& state, const SequenceInfo& sequence, const nn::StepContext& context) const = 0;
};

/// Makes the mixer of one layer.
using MixerFactory = std::function<std::unique_ptr<Mixer>(int layer, nn::Initializer& init)>;

}  // namespace longhaul::models
