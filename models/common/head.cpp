#include "models/common/head.h"

#include "framework/base/error.h"
#include "framework/nn/layers.h"
#include "framework/ops/linear.h"
#include "framework/ops/shape.h"
#include "models/common/stack.h"

namespace longhaul::models {
namespace {

constexpr float kExcluded = -1e9f;  // logit of a position that cannot be chosen

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
    return out_(drop(ops::unary(dense_(drop(pooled, 0, context)), activation_), 1, context));
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

  Variable drop(const Variable& x, uint32_t place, const nn::StepContext& context) const {
    if (!context.training || dropout_ == 0) return x;
    return ops::dropout(x, {.stream = context.stream(place, RandomPurpose::kHeadDropout), .probability = dropout_, .first_element = static_cast<uint64_t>(context.first_row * x.size(1))});
  }

  Pooling pooling_;
  double dropout_;
  ops::UnaryOp activation_;
  nn::Linear dense_, out_;
};

class SpanHead final : public Head {
 public:
  SpanHead(const ModelSpec& spec, nn::Initializer& init) : out_(hidden_width(spec), 2, true, spec.options->body.init_std, init) { add("out", out_); }

  ops::CrossEntropyResult loss(const Variable& hidden, const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    const Variable by_end = ops::permute(outputs(hidden, inputs, context), {0, 2, 1});  // [B, 2, N]
    return ops::cross_entropy(by_end, targets, options);
  }

  Variable outputs(const Variable& hidden, const ModelInputs& inputs, const nn::StepContext&) const override {
    const Variable logits = out_(ops::cast(hidden, out_.weight().dtype()));  // [B, N, 2]
    return inputs.valid.defined() ? ops::add(logits, Variable(excluded(inputs.valid, logits))) : logits;
  }

 private:
  // [B, N, 2]: kExcluded where padding stands
  static Tensor excluded(const Tensor& valid, const Variable& like) {
    const Tensor out = Tensor::empty(like.shape(), like.dtype(), like.device());
    if (like.device().is_meta()) return out;
    const uint8_t* row = valid.data<uint8_t>();
    for (int64_t i = 0; i < valid.elements(); ++i) {
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

  nn::Linear out_;
};

}  // namespace

std::unique_ptr<Head> make_head(const ModelSpec& spec, const HeadLayout& layout, const Variable& table, nn::Initializer& init) {
  switch (spec.head.kind) {
    case HeadKind::kClasses:
      check<ConfigError>(spec.head.classes >= 2, "[model] a classification with {} classes, expected 2 or more", spec.head.classes);
      return std::make_unique<ClassHead>(spec, layout, init);
    case HeadKind::kSpans: return std::make_unique<SpanHead>(spec, init);
    case HeadKind::kTokens: break;
  }
  return std::make_unique<TokenHead>(spec, layout, table, init);
}

}  // namespace longhaul::models
