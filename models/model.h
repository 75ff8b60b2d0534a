// defines: HeadKind, HeadSpec, ModelSpec, ModelInputs, ModelBatch, DecodeState, Model, LanguageModel, SequenceModel, make_model,
// make_sequence_model, make_any_model, rows_of
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/nn/module.h"
#include "framework/ops/cross_entropy.h"
#include "models/common/memory_options.h"
#include "models/common/selections.h"
#include "models/registry.h"

namespace longhaul::models {

/// What a model says of its inputs.
enum class HeadKind {
  kTokens,   // a distribution over the vocabulary at every position
  kClasses,  // one class for each sequence
  kSpans,    // the first and the last position of a span in each sequence
};

struct HeadSpec {
  HeadKind kind = HeadKind::kTokens;
  int64_t classes = 0;                   // of kClasses
  std::vector<std::string> labels = {};  // their names, where they are known
};

/// Everything that decides a model's function and parameters, seed apart.
struct ModelSpec {
  std::string family = "transformer";
  std::shared_ptr<const FamilyOptions> options;  // of that family, resolved and checked
  Form form = Form::kDecoder;
  int64_t vocabulary = 256;
  HeadSpec head;
  MemoryOptions memory;
};

class SegmentMemory;

struct ModelInputs {
  Tensor tokens = {};     // [B, N] i32
  Tensor documents = {};  // [B, N] i32 or undefined; tokens see only tokens of the same number
  Tensor valid = {};  // [B, N] u8 or undefined; 0 = padding that nothing may see (needed where attention is two-sided)
  /// [B, N] u8 or undefined; 1 = a token the task turns on: the first one of a text to classify, a question. What families
  /// with global attention make global.
  Tensor focus = {};
  Tensor choosable = {};  // [B, N] u8 or undefined (all but padding); kSpans: 1 = where a span may begin or end
  std::vector<Variable>* hidden_states = nullptr;  // receives the residual stream, see LayerStack::forward
  Tensor token_types = {};                         // [B, N] i32 or undefined (all 0); for models with token types
  std::shared_ptr<Selections> selections = {};  // receives what attention that depends on content chose, or gives it
  int64_t planned_scored = 0;  // without data (meta): tokens of a sequence that are scored at most; 0 = all
  SegmentMemory* memory = nullptr;  // of recurrent models: seen, then replaced; rows from context.first_row on
};

/// The memory that is wanted of a recurrent model.
struct MemoryRequest {
  int64_t rows = 1;       // streams
  bool training = false;  // as long as in training, else as in evaluation
  int64_t length = 0;     // tokens; 0 = as the model's options say
  int64_t slots = 0;      // of a compressed memory; likewise
  DType compute = DType::kF32;
};

/// What a model is trained or scored on.
struct ModelBatch {
  ModelInputs inputs = {};  // of a decoder or an encoder; of an encoder_decoder the target tokens shifted right
  Tensor targets = {};      // i32, -1 = not scored: kTokens [B, N]; kClasses [B]; kSpans [B, 2], first and last position
  ModelInputs source = {};  // of an encoder_decoder what its encoder reads; else undefined
};

/// Rows [first, end) of a batch.
ModelBatch rows_of(const ModelBatch& batch, int64_t first, int64_t end);

/// Keys, values and whatever else a model keeps between decoded tokens.
class DecodeState {
 public:
  virtual ~DecodeState() = default;
  /// Row r of the batch becomes a copy of what row rows[r] is now; their number may change. False where a model cannot: the
  /// state is of no use then, and the tokens are to be read anew.
  virtual bool select(std::span<const int64_t>) { return false; }
  int64_t length() const { return length_; }      // tokens seen so far
  int64_t capacity() const { return capacity_; }  // tokens that fit
  int64_t batch() const { return batch_; }

  /// What a model of constant memory knows of everything it has read, by name; empty where a state grows with its tokens.
  virtual std::map<std::string, Tensor> memory() const { return {}; }
  /// Goes on, with length 0, from what memory() gave. throws CheckpointError when it does not fit this state
  virtual void set_memory(const std::map<std::string, Tensor>& memory);

 protected:
  friend class Model;
  int64_t length_ = 0, capacity_ = 0, batch_ = 0;
};

/// What all models share.
class Model : public nn::Module {
 public:
  const ModelSpec& spec() const { return spec_; }
  Device device() const { return device_; }
  int64_t parameter_count() const;  // without buffers
  /// Whether a parameter is trained by a loss of its own and by no other: its gradient is measured
  /// and clipped apart from that of the targets' loss.
  virtual bool trained_apart(std::string_view parameter) const;

  /// Summed cross-entropy of the batch's targets times options.scale; nll has one entry a target, in row-major order.
  virtual ops::CrossEntropyResult loss(const ModelBatch& batch, const nn::StepContext& context, const ops::LossOptions& options) const = 0;
  /// Logits in the parameters' dtype, recorded like any op: kTokens [B, N, V]; kClasses [B, C]; kSpans [B, N, 2], where
  /// padding has -1e6 added. The batch's targets are not read.
  virtual Variable outputs(const ModelBatch& batch, const nn::StepContext& context) const = 0;

  /// A memory in which streams have not begun; null where the model carries nothing from segment to segment.
  virtual std::unique_ptr<SegmentMemory> start_memory(const MemoryRequest& request) const;
  /// Appends tokens [B, n] i32 and returns the logits [B, V] that follow the last of them, in the parameters' dtype.
  /// Equals the last row of logits().
  virtual Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const = 0;

 protected:
  Model(ModelSpec spec, Device device) : spec_(std::move(spec)), device_(device) {}
  static void prepare(DecodeState& state, int64_t batch, int64_t capacity);
  static void advance(DecodeState& state, int64_t tokens);
  /// throws ShapeError when tokens [B, n] do not fit into the cache
  static void check_room(const Tensor& tokens, const DecodeState& state);
  /// Loss options with the model's own chunk where the caller left it open.
  ops::LossOptions chunked(ops::LossOptions options) const;
  ModelSpec spec_;
  Device device_;
};

/// One sequence in: a decoder or an encoder, with whatever head.
class LanguageModel : public Model {
 public:
  ops::CrossEntropyResult loss(const ModelBatch& batch, const nn::StepContext& context, const ops::LossOptions& options) const final;
  Variable outputs(const ModelBatch& batch, const nn::StepContext& context) const final;

  /// [B, N, D] in context.compute: what the head reads.
  virtual Variable hidden(const ModelInputs& inputs, const nn::StepContext& context) const = 0;
  /// As Model::loss.
  virtual ops::CrossEntropyResult loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const = 0;
  /// As Model::outputs.
  virtual Variable logits(const ModelInputs& inputs, const nn::StepContext& context) const = 0;
  /// An empty cache for `batch` sequences of at most `capacity` tokens. throws ConfigError when the model cannot be that long
  virtual std::unique_ptr<DecodeState> start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const = 0;

 protected:
  using Model::Model;
};

/// A source sequence in, a target sequence out: encoder and decoder. inputs are the target tokens shifted right.
class SequenceModel : public Model {
 public:
  ops::CrossEntropyResult loss(const ModelBatch& batch, const nn::StepContext& context, const ops::LossOptions& options) const final;
  Variable outputs(const ModelBatch& batch, const nn::StepContext& context) const final;

  virtual ops::CrossEntropyResult loss(const ModelInputs& source, const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const = 0;
  /// [B, N, V] in the parameters' dtype.
  virtual Variable logits(const ModelInputs& source, const ModelInputs& inputs, const nn::StepContext& context) const = 0;
  /// Encodes the source; an empty cache for target sequences of at most `capacity` tokens.
  virtual std::unique_ptr<DecodeState> start_decoding(const ModelInputs& source, int64_t capacity, const nn::StepContext& context) const = 0;
  /// Tokens of the longest target that the decoder's position table serves.
  virtual int64_t longest_target() const = 0;

 protected:
  using Model::Model;
};

/// Builds a model with freshly drawn parameters in `dtype` (f32; f64 on the reference device).
std::unique_ptr<LanguageModel> make_model(const ModelSpec& spec, uint64_t seed, Device device, DType dtype = DType::kF32);
/// The same for form encoder_decoder. throws ConfigError when the family has no such form
std::unique_ptr<SequenceModel> make_sequence_model(const ModelSpec& spec, uint64_t seed, Device device, DType dtype = DType::kF32);
/// Either of them, by spec.form.
std::unique_ptr<Model> make_any_model(const ModelSpec& spec, uint64_t seed, Device device, DType dtype = DType::kF32);

}  // namespace longhaul::models
