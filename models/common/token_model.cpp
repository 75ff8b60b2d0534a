#include "models/common/token_model.h"

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"
#include "models/common/scored_rows.h"
#include "models/common/stack.h"
#include "models/common/token_embedding.h"

namespace longhaul::models {
namespace {

struct TokenDecodeState final : DecodeState {
  LayerStack::States layers;
  bool select(std::span<const int64_t> rows) override {
    batch_ = static_cast<int64_t>(rows.size());
    return layers.select(rows);
  }
};

/// The same sequence behind `count` rows that belong to every sequence.
SequenceInfo behind_prefix(const SequenceInfo& sequence, int64_t count, Device device) {
  check<ConfigError>(!sequence.documents.defined(), "[model] learned global tokens see all documents of a sequence\n  hint: data.cross_documents: true, or model.extra_globals: 0");
  SequenceInfo out = sequence;
  const int64_t batch = sequence.batch, length = sequence.length;
  out.length = length + count;
  std::vector<int32_t> positions(static_cast<size_t>(count), 0);
  for (int64_t i = 0; i < length; ++i) positions.push_back(static_cast<int32_t>(sequence.first_position + i));
  out.positions = Tensor::of<int32_t>({out.length}, positions, device);
  out.tokens = out.token_types = out.focus = {};
  if (sequence.rows.defined() && !device.is_meta()) {
    std::vector<int32_t> rows(sequence.rows.data<int32_t>(), sequence.rows.data<int32_t>() + sequence.rows.elements());
    for (int32_t& row : rows) row += static_cast<int32_t>((row / length + 1) * count);
    out.rows = Tensor::of<int32_t>({static_cast<int64_t>(rows.size())}, rows, device);
  }
  if (!sequence.valid.defined()) return out;
  out.valid = Tensor::empty({batch, out.length}, DType::kU8, device);
  if (device.is_meta()) return out;
  for (int64_t b = 0; b < batch; ++b) {
    std::fill_n(out.valid.data<uint8_t>() + b * out.length, count, uint8_t{1});
    std::copy_n(sequence.valid.data<uint8_t>() + b * length, length, out.valid.data<uint8_t>() + b * out.length + count);
  }
  return out;
}

/// Types of a question and the text that answers it: 0 for the question, where the task's focus is, 1 behind it (Devlin et al.
/// 2019, section 4.2).
Tensor question_types(const Tensor& focus) {
  const Tensor out = Tensor::empty(focus.shape(), DType::kI32, focus.device());
  if (focus.device().is_meta()) return out;
  for (int64_t i = 0; i < focus.elements(); ++i) out.data<int32_t>()[i] = focus.data<uint8_t>()[i] == 0;
  return out;
}

class TokenModel final : public LanguageModel {
 public:
  TokenModel(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init, const TokenModelParts& parts)
      : LanguageModel(spec, init.device()),
        question_types_(spec.head.kind == HeadKind::kSpans && parts.input.token_types >= 2),
        embedding_(spec.options->body, spec.vocabulary, parts.input, init),
        head_(make_head(spec, parts.head, embedding_.table(), init)),
        stack_(spec.options->body, spec.memory, mixers, init) {
    add("", embedding_);
    add("head", *head_);
    add("", stack_);
    if (parts.prefix > 0) add("prefix_embedding.weight", prefix_ = init.normal({parts.prefix, spec.options->body.dim}, spec.options->body.init_std));
  }

  Variable hidden(const ModelInputs& inputs, const nn::StepContext& context) const override { return hidden_rows(inputs, {}, context); }

  ops::CrossEntropyResult loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    const bool by_row = spec_.head.kind == HeadKind::kTokens && !inputs.hidden_states;
    const ScoredRows scored = by_row ? find_scored_rows(targets, inputs.planned_scored) : ScoredRows();
    if (!scored.rows.defined()) return head_->loss(hidden(inputs, context), inputs, targets, context, chunked(options));
    return scored.in_place(head_->loss(hidden_rows(inputs, scored.rows, context), inputs, scored.targets, context, chunked(options)), targets.elements());
  }

  Variable logits(const ModelInputs& inputs, const nn::StepContext& context) const override { return head_->outputs(hidden(inputs, context), inputs, context); }

  std::unique_ptr<DecodeState> start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const override {
    check<ConfigError>(capacity <= embedding_.longest(), "[generate] {} tokens are asked for, the model's position table has {} rows (model.max_positions)", capacity, embedding_.longest());
    check<ConfigError>(spec_.form == Form::kDecoder, "[generate] this model is an encoder: it does not generate from left to right");
    check<ConfigError>(spec_.head.kind == HeadKind::kTokens, "[generate] this model has no head over the vocabulary: it does not generate");
    auto state = std::make_unique<TokenDecodeState>();
    prepare(*state, batch, capacity);
    state->layers = stack_.start(batch, capacity, context);
    return state;
  }

  Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const override {
    const NoTapeScope quiet;
    check_room(tokens, state);
    const int64_t count = tokens.size(1);
    const SequenceInfo sequence = sequence_of({tokens, {}, {}}, state.length());
    Variable rows = stack_.step(embedding_(tokens, sequence, context), static_cast<TokenDecodeState&>(state).layers, sequence, context);  // [B, n, D]
    advance(state, count);
    if (count > 1) rows = ops::slice(rows, 1, count - 1, count);
    return head_->outputs(rows, {}, context).value().reshape({tokens.size(0), spec_.vocabulary});
  }

 private:
  /// hidden(), or with `rows` [M] (numbers of rows of [B N]) these rows of it, [M, D].
  Variable hidden_rows(const ModelInputs& inputs, const Tensor& rows, const nn::StepContext& context) const {
    SequenceInfo sequence = sequence_of(inputs, 0);
    if (question_types_ && inputs.focus.defined() && !inputs.token_types.defined()) sequence.token_types = question_types(inputs.focus);
    const Variable embedded = embedding_(inputs.tokens, sequence, context);  // [B, N, D]
    sequence.rows = rows;
    if (!prefix_.defined()) return stack_.forward(embedded, sequence, context);
    const int64_t count = prefix_.size(0), length = sequence.length;
    const Variable joined[] = {prefix_rows(sequence.batch), embedded};
    const Variable all = stack_.forward(ops::concat(joined, 1), behind_prefix(sequence, count, device()), context);  // [B, g + N, D]
    return rows.defined() ? all : ops::slice(all, 1, count, count + length);
  }

  /// The learned rows in front of every sequence, [B, g, D].
  Variable prefix_rows(int64_t batch) const {
    const int64_t count = prefix_.size(0);
    std::vector<int32_t> rows;
    for (int64_t i = 0; i < batch * count; ++i) rows.push_back(static_cast<int32_t>(i % count));
    return ops::embedding(prefix_, Tensor::of<int32_t>({batch, count}, rows, device()), prefix_.dtype());
  }

  bool question_types_;
  TokenEmbedding embedding_;
  std::unique_ptr<Head> head_;
  LayerStack stack_;
  Variable prefix_;
};

}  // namespace

std::unique_ptr<LanguageModel> build_token_model(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init, const TokenModelParts& parts) {
  return std::make_unique<TokenModel>(spec, mixers, init, parts);
}

}  // namespace longhaul::models
