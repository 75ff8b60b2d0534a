#include "models/common/head.h"

#include "framework/base/error.h"
#include "framework/nn/layers.h"
#include "framework/ops/linear.h"
#include "framework/ops/shape.h"
#include "models/common/stack.h"

namespace longhaul::models {
namespace {

constexpr float kExcluded = -1e6f;  // added to the logit of a position that cannot be chosen

/// Dropout of x [B, ..]; `place` tells the dropouts of a head apart.
Variable drop(const Variable& x, uint32_t place, double probability, const nn::StepContext& context) {
  if (!context.training || probability == 0) return x;
  return ops::dropout(x, {.stream = context.stream(place, RandomPurpose::kHeadDropout), .probability = probability,
                          .first_element = static_cast<uint64_t>(context.first_row * (x.value().elements() / x.size(0)))});
}

/// Columns of the hidden states that a head reads.
int64_t hidden_width(const ModelSpec& spec) { return output_width(spec.options->body, spec.memory); }

class TokenHead final : public Head {
 public:
  TokenHead(const ModelSpec& spec, const HeadLayout& layout, const Variable& table, nn::Initializer& init) : activation_(layout.transform_activation) {
    const BodyOptions& body = spec.options->body;
    if (layout.transform) {
      add("dense", *(dense_ = std::make_unique<nn::Linear>(hidden_width(spec), body.dim, body.bias, body.init_std, init)));
      add("norm", *(norm_ = std::make_unique<nn::Norm>(body.dim, body.bias, norm_options(body), init)));
    }
    weight_ = table;
    if (!body.tied_embeddings) add("weight", weight_ = init.normal({spec.vocabulary, layout.transform ? body.dim : hidden_width(spec)}, body.init_std));
    if (layout.logits_bias) {
      add("logits_bias", logits_bias_ = init.buffer({1, spec.vocabulary}, 0));
    } else if (body.bias && (!body.tied_embeddings || layout.transform || layout.output_bias)) {
      add("bias", bias_ = init.constant({spec.vocabulary}, 0));
    }
  }

  ops::CrossEntropyResult loss(const Variable& hidden, const ModelInputs&, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    return ops::linear_cross_entropy(transformed(hidden, context), weight_, bias(), targets, options);
  }

  Variable outputs(const Variable& hidden, const ModelInputs&, const nn::StepContext& context) const override {
    return ops::linear(ops::cast(transformed(hidden, context), weight_.dtype()), weight_, bias());
  }

 private:
  Variable transformed(const Variable& hidden, const nn::StepContext& context) const {
    return dense_ ? (*norm_)(ops::unary((*dense_)(hidden), activation_), context.compute) : hidden;
  }

  Variable bias() const { return logits_bias_.defined() ? Variable(logits_bias_.value().reshape({logits_bias_.size(1)})) : bias_; }

  ops::UnaryOp activation_;
  std::unique_ptr<nn::Linear> dense_;
  std::unique_ptr<nn::Norm> norm_;
  Variable weight_, bias_, logits_bias_;
};

class ClassHead final : public Head {
 public:
  ClassHead(const ModelSpec& spec, const HeadLayout& layout, nn::Initializer& init)
      : pooling_(spec.options->body.pooling),
        dropout_(spec.options->body.dropout),
        activation_(layout.class_activation),
        dense_(hidden_width(spec), spec.options->body.dim, true, spec.options->body.init_std, init),
        out_(spec.options->body.dim, spec.head.classes, true, spec.options->body.init_std, init) {
    add("dense", dense_);
    add("out", out_);
  }

  ops::CrossEntropyResult loss(const Variable& hidden, const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    return ops::cross_entropy(outputs(hidden, inputs, context), targets, options);
  }

  Variable outputs(const Variable& hidden, const ModelInputs& inputs, const nn::StepContext& context) const override {
    const Variable pooled = ops::cast(pool(hidden, inputs.valid), dense_.weight().dtype());  // [B, D]
    return out_(drop(ops::unary(dense_(drop(pooled, 0, dropout_, context)), activation_), 1, dropout_, context));
  }

 private:
  Variable pool(const Variable& hidden, const Tensor& valid) const {
    const int64_t batch = hidden.size(0), length = hidden.size(1), dim = hidden.size(2);
    if (pooling_ == Pooling::kFirst) return ops::reshape(ops::slice(hidden, 1, 0, 1), {batch, dim});
    const Variable wide = ops::cast(hidden, dense_.weight().dtype());
    const Variable shares(mean_weights(valid, batch, length, wide));
    return ops::reshape(ops::matmul(shares, wide), {batch, dim});
  }

  // [B, 1, N]: 1 / valid positions of the row, 0 for padding
  static Tensor mean_weights(const Tensor& valid, int64_t batch, int64_t length, const Variable& like) {
    if (like.device().is_meta()) return Tensor::empty({batch, 1, length}, like.dtype(), like.device());
    std::vector<double> values;
    for (int64_t b = 0; b < batch; ++b) {
      const uint8_t* row = valid.defined() ? valid.data<uint8_t>() + b * length : nullptr;
      int64_t count = 0;
      for (int64_t i = 0; i < length; ++i) count += !row || row[i] != 0;
      for (int64_t i = 0; i < length; ++i) values.push_back(!row || row[i] != 0 ? 1.0 / static_cast<double>(count) : 0.0);
    }
    if (like.dtype() == DType::kF64) return Tensor::of<double>({batch, 1, length}, values, like.device());
    return Tensor::of<float>({batch, 1, length}, {values.begin(), values.end()}, like.device());
  }

  Pooling pooling_;
  double dropout_;
  ops::UnaryOp activation_;
  nn::Linear dense_, out_;
};

class SpanHead final : public Head {
 public:
  SpanHead(const ModelSpec& spec, const HeadLayout& layout, nn::Initializer& init)
      : dropout_(spec.options->body.dropout), out_(hidden_width(spec), 2, true, spec.options->body.init_std, init) {
    add("out", out_);
    if (!layout.span_layer) return;
    const BodyOptions& body = spec.options->body;
    add("feed_forward", *(feed_forward_ = std::make_unique<nn::FeedForward>(hidden_width(spec), body.feedforward, body.bias, body.init_std, body.init_std,
                                                                          ops::FeedForwardOptions{.activation = feed_forward_activation(body), .chunk_rows = spec.memory.chunk_feedforward}, init)));
    add("norm", *(norm_ = std::make_unique<nn::Norm>(hidden_width(spec), body.bias, norm_options(body), init)));
  }

  ops::CrossEntropyResult loss(const Variable& hidden, const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    const Variable by_end = ops::permute(outputs(hidden, inputs, context), {0, 2, 1});  // [B, 2, N]
    return ops::cross_entropy(by_end, targets, options);
  }

  Variable outputs(const Variable& hidden, const ModelInputs& inputs, const nn::StepContext& context) const override {
    const Variable logits = out_(ops::cast(transformed(hidden, context), out_.weight().dtype()));  // [B, N, 2]
    const Tensor choosable = choosable_of(inputs);
    return choosable.defined() ? ops::add(logits, Variable(excluded(choosable, logits))) : logits;
  }

 private:
  Variable transformed(const Variable& hidden, const nn::StepContext& context) const {
    if (!feed_forward_) return hidden;
    const Variable branch = drop((*feed_forward_)(drop(hidden, 0, dropout_, context)), 1, dropout_, context);
    return norm_->add(hidden, branch, hidden.dtype()).normal;
  }

  /// [B, N] u8; undefined: every position.
  Tensor choosable_of(const ModelInputs& inputs) const {
    if (inputs.choosable.defined()) return inputs.choosable;
    if (!feed_forward_ || !inputs.focus.defined() || inputs.focus.device().is_meta()) return inputs.valid;
    // Not in the question; its first token stays, the place of "there is no answer".
    const int64_t length = inputs.focus.size(1);
    const Tensor out = Tensor::empty(inputs.focus.shape(), DType::kU8, inputs.focus.device());
    for (int64_t i = 0; i < out.elements(); ++i) {
      const bool real = !inputs.valid.defined() || inputs.valid.data<uint8_t>()[i] != 0;
      out.data<uint8_t>()[i] = real && (i % length == 0 || inputs.focus.data<uint8_t>()[i] == 0);
    }
    return out;
  }

  // [B, N, 2]: kExcluded where nothing can be chosen
  static Tensor excluded(const Tensor& choosable, const Variable& like) {
    const Tensor out = Tensor::empty(like.shape(), like.dtype(), like.device());
    if (like.device().is_meta()) return out;
    const uint8_t* row = choosable.data<uint8_t>();
    for (int64_t i = 0; i < choosable.elements(); ++i) {
      for (int64_t k = 2 * i; k < 2 * i + 2; ++k) {
        const float value = row[i] != 0 ? 0.0f : kExcluded;
        if (like.dtype() == DType::kF64) {
          out.data<double>()[k] = value;
        } else {
          out.data<float>()[k] = value;
        }
      }
    }
    return out;
  }

  double dropout_;
  nn::Linear out_;
  std::unique_ptr<nn::FeedForward> feed_forward_;
  std::unique_ptr<nn::Norm> norm_;
};

}  // namespace

std::unique_ptr<Head> make_head(const ModelSpec& spec, const HeadLayout& layout, const Variable& table, nn::Initializer& init) {
  switch (spec.head.kind) {
    case HeadKind::kClasses:
      check<ConfigError>(spec.head.classes >= 2, "[model] a classification with {} classes, expected 2 or more", spec.head.classes);
      return std::make_unique<ClassHead>(spec, layout, init);
    case HeadKind::kSpans: return std::make_unique<SpanHead>(spec, layout, init);
    case HeadKind::kTokens: break;
  }
  return std::make_unique<TokenHead>(spec, layout, table, init);
}

}  // namespace longhaul::models
