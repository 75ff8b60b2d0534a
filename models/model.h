// defines: ModelSpec, ModelInputs, DecodeState, LanguageModel, make_model
#pragma once
#include <memory>
#include <string>

#include "framework/nn/module.h"
#include "framework/ops/cross_entropy.h"
#include "models/common/memory_options.h"
#include "models/registry.h"

namespace longhaul::models {

/// Everything that decides a model's function and parameters, seed apart.
struct ModelSpec {
  std::string family = "transformer";
  std::shared_ptr<const FamilyOptions> options;  // of that family, resolved and checked
  Form form = Form::kDecoder;
  int64_t vocabulary = 256;
  MemoryOptions memory;
};

struct ModelInputs {
  Tensor tokens;     // [B, N] i32
  Tensor documents;  // [B, N] i32 or undefined; tokens see only tokens of the same number
  Tensor valid;      // [B, N] u8 or undefined; 0 = padding that nothing may see (needed where attention is two-sided)
};

/// Keys, values and whatever else a model keeps between decoded tokens.
class DecodeState {
 public:
  virtual ~DecodeState() = default;
  int64_t length() const { return length_; }      // tokens seen so far
  int64_t capacity() const { return capacity_; }  // tokens that fit
  int64_t batch() const { return batch_; }

 protected:
  friend class LanguageModel;
  int64_t length_ = 0, capacity_ = 0, batch_ = 0;
};

/// A decoder, or an encoder with a token head: tokens in, a distribution over the vocabulary out at every position.
class LanguageModel : public nn::Module {
 public:
  /// [B, N, D] in context.compute: what the head reads.
  virtual Variable hidden(const ModelInputs& inputs, const nn::StepContext& context) const = 0;
  /// Summed cross-entropy of targets [B, N] i32 (-1 = not scored) times options.scale; nll [B N] in row-major order.
  virtual ops::CrossEntropyResult loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const = 0;
  /// [B, N, V] f32; recorded like any op.
  virtual Variable logits(const ModelInputs& inputs, const nn::StepContext& context) const = 0;

  /// An empty cache for `batch` sequences of at most `capacity` tokens. throws ConfigError when the model cannot be that long
  virtual std::unique_ptr<DecodeState> start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const = 0;
  /// Appends tokens [B, n] i32 and returns the logits [B, V] f32 that follow the last of them. Equals the last row of logits().
  virtual Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const = 0;

  const ModelSpec& spec() const { return spec_; }
  Device device() const { return device_; }
  int64_t parameter_count() const;

 protected:
  LanguageModel(ModelSpec spec, Device device) : spec_(std::move(spec)), device_(device) {}
  static void advance(DecodeState& state, int64_t tokens) { state.length_ += tokens; }
  static void prepare(DecodeState& state, int64_t batch, int64_t capacity) { state.batch_ = batch, state.capacity_ = capacity; }
  ModelSpec spec_;
  Device device_;
};

/// Builds a model with freshly drawn parameters in `dtype` (f32; f64 on the reference device).
std::unique_ptr<LanguageModel> make_model(const ModelSpec& spec, uint64_t seed, Device device, DType dtype = DType::kF32);

}  // namespace longhaul::models
