// Heads over a small encoder: gradients, padding, and what a batch may ask for.
#include "models/common/head.h"

#include <gtest/gtest.h>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"
#include "models/common/self_attention.h"
#include "models/common/token_model.h"
#include "models/longformer/options.h"
#include "framework/pattern/builders.h"

namespace longhaul::models {
namespace {

struct Variant {
  const char* name;
  HeadSpec head;
  Pooling pooling = Pooling::kFirst;
  HeadLayout layout = {};
  bool tied = true;
  int64_t prefix = 0;
};

constexpr int64_t kRows = 3, kLength = 7;

std::unique_ptr<LanguageModel> encoder(const Variant& variant, Device device, DType dtype) {
  const FamilyInfo* info = find_family("transformer");
  auto options = info->make();
  BodyOptions& body = options->body;
  body.dim = 16, body.layers = 1, body.heads = 2, body.feedforward = 24, body.max_positions = 12, body.init_std = 0.3;
  body.pooling = variant.pooling, body.tied_embeddings = variant.tied, body.dropout = 0.2;
  info->resolve(*options, {.sequence_length = 12, .form = Form::kEncoder});
  ModelSpec spec;
  spec.options = options;
  spec.form = Form::kEncoder;
  spec.vocabulary = 11;
  spec.head = variant.head;
  nn::Initializer init(5, device, dtype);
  const auto patterns = std::make_shared<PatternCache>(pattern::dense);
  return build_token_model(spec, [&](int layer, nn::Initializer& with) {
    return std::make_unique<SelfAttention>(SelfAttentionOptions::from(options->body, layer), patterns, with);
  }, init, {.head = variant.layout, .prefix = variant.prefix});
}

/// Rows of 7, 4 and 1 tokens, filled up with `filler`.
ModelBatch batch_of(const HeadSpec& head, Device device, int32_t filler = 0) {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> valid;
  const int64_t lengths[] = {7, 4, 1};
  for (int64_t b = 0; b < kRows; ++b) {
    for (int64_t i = 0; i < kLength; ++i) {
      valid.push_back(i < lengths[b]);
      tokens.push_back(i < lengths[b] ? static_cast<int32_t>((3 * i + b) % 11) : filler);
    }
  }
  ModelBatch batch;
  batch.inputs.tokens = Tensor::of<int32_t>({kRows, kLength}, tokens, device);
  batch.inputs.valid = Tensor::of<uint8_t>({kRows, kLength}, valid, device);
  switch (head.kind) {
    case HeadKind::kTokens: {
      std::vector<int32_t> targets(static_cast<size_t>(kRows * kLength), -1);
      targets[1] = 4, targets[6] = 10, targets[8] = 2, targets[14] = 7;
      batch.targets = Tensor::of<int32_t>({kRows, kLength}, targets, device);
      break;
    }
    case HeadKind::kClasses: batch.targets = Tensor::of<int32_t>({kRows}, {2, 0, -1}, device); break;
    case HeadKind::kSpans: {
      batch.targets = Tensor::of<int32_t>({kRows, 2}, {2, 5, 0, 3, -1, 0}, device);
      // A question of two, one and one tokens.
      std::vector<uint8_t> focus(static_cast<size_t>(kRows * kLength), 0);
      focus[0] = focus[1] = focus[7] = focus[14] = 1;
      batch.inputs.focus = Tensor::of<uint8_t>({kRows, kLength}, focus, device);
      break;
    }
  }
  return batch;
}

class EveryHead : public ::testing::TestWithParam<Variant> {};

double loss_of(const Model& model, const ModelBatch& batch, std::vector<Tensor>* gradients = nullptr) {
  TapeScope scope;
  const auto result = model.loss(batch, {.training = true, .seed = 3, .step = 1, .compute = DType::kF64}, {.scale = 0.5});
  if (gradients) {
    for (const auto& p : model.parameters()) p.variable.clear_gradient();
    scope.tape().backward(result.loss, Tensor::of<double>({1}, {1.0}, model.device()));
    for (const auto& p : model.parameters()) gradients->push_back(ops::cast_tensor(p.variable.gradient(), DType::kF64));
  }
  return result.loss.value().data<double>()[0];
}

TEST_P(EveryHead, GradientsEqualFiniteDifferences) {
  const auto model = encoder(GetParam(), Device::reference(), DType::kF64);
  const ModelBatch batch = batch_of(GetParam().head, model->device());
  std::vector<Tensor> gradients;
  loss_of(*model, batch, &gradients);
  const auto parameters = model->parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    double* values = parameters[k].variable.value().data<double>();
    for (int64_t i = 0; i < gradients[k].elements(); i += 1 + gradients[k].elements() / 4) {
      const double original = values[i];
      const auto at = [&](double value) {
        values[i] = value;
        const double loss = loss_of(*model, batch);
        values[i] = original;
        return loss;
      };
      EXPECT_NEAR(gradients[k].data<double>()[i], (at(original + 1e-5) - at(original - 1e-5)) / 2e-5, 1e-7) << parameters[k].name << " element " << i;
    }
  }
}

TEST_P(EveryHead, WhatStandsInPaddingChangesNothing) {
  const auto model = encoder(GetParam(), Device::cpu(), DType::kF32);
  const auto nll = [&](int32_t filler) {
    const auto result = model->loss(batch_of(GetParam().head, model->device(), filler), {}, {});
    return std::vector<float>(result.nll.data<float>(), result.nll.data<float>() + result.nll.elements());
  };
  EXPECT_EQ(nll(0), nll(9));
}

TEST_P(EveryHead, RowsOfABatchAreScoredAsAlone) {
  const auto model = encoder(GetParam(), Device::cpu(), DType::kF32);
  const ModelBatch batch = batch_of(GetParam().head, model->device());
  const auto whole = model->loss(batch, {}, {});
  const int64_t targets = whole.nll.elements() / kRows;
  double total = 0;
  for (int64_t b = 0; b < kRows; ++b) {
    const auto one = model->loss(rows_of(batch, b, b + 1), {}, {});
    ASSERT_EQ(one.nll.elements(), targets);
    for (int64_t i = 0; i < targets; ++i) EXPECT_NEAR(one.nll.data<float>()[i], whole.nll.data<float>()[b * targets + i], 1e-5);
    total += one.loss.value().data<float>()[0];
  }
  EXPECT_NEAR(total, whole.loss.value().data<float>()[0], 1e-4);
  EXPECT_GT(total, 0.1);
}

TEST_P(EveryHead, OutputsAreTheLogitsOfTheLoss) {
  const auto model = encoder(GetParam(), Device::cpu(), DType::kF32);
  const ModelBatch batch = batch_of(GetParam().head, model->device());
  const auto expected = model->loss(batch, {}, {});
  Variable logits = model->outputs(batch, {});
  if (GetParam().head.kind == HeadKind::kSpans) {
    EXPECT_EQ(logits.shape(), Shape({kRows, kLength, 2}));
    // Two columns side by side become two rows.
    std::vector<float> turned;
    for (int64_t b = 0; b < kRows; ++b) {
      for (int64_t k = 0; k < 2; ++k) {
        for (int64_t i = 0; i < kLength; ++i) turned.push_back(logits.value().data<float>()[(b * kLength + i) * 2 + k]);
      }
    }
    EXPECT_LT(turned[2 * kLength + 5], -1e5) << "padding of row 1";
    logits = Variable(Tensor::of<float>({kRows, 2, kLength}, turned));
  }
  const auto found = ops::cross_entropy(logits, batch.targets, {});
  for (int64_t i = 0; i < expected.nll.elements(); ++i) EXPECT_NEAR(found.nll.data<float>()[i], expected.nll.data<float>()[i], 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Heads, EveryHead, ::testing::Values(
  Variant{"Tokens", {}},
  Variant{"TokensBias", {}, Pooling::kFirst, {.output_bias = true}},
  Variant{"TokensTransform", {}, Pooling::kFirst, {.transform = true, .transform_activation = ops::UnaryOp::kGeluTanh}},
  Variant{"TokensTransformUntied", {}, Pooling::kFirst, {.transform = true}, false},
  Variant{"ClassesFirst", {HeadKind::kClasses, 3}},
  Variant{"ClassesMean", {HeadKind::kClasses, 3}, Pooling::kMean, {.class_activation = ops::UnaryOp::kGelu}},
  Variant{"Spans", {HeadKind::kSpans}},
  Variant{"TokensPrefix", {}, Pooling::kFirst, {}, true, 3},
  Variant{"ClassesPrefix", {HeadKind::kClasses, 3}, Pooling::kFirst, {}, true, 3},
  Variant{"ClassesMeanPrefix", {HeadKind::kClasses, 3}, Pooling::kMean, {}, true, 3},
  Variant{"SpansPrefix", {HeadKind::kSpans}, Pooling::kFirst, {}, true, 3},
  Variant{"SpansLayer", {HeadKind::kSpans}, Pooling::kFirst, {.span_layer = true}}), [](const auto& info) { return std::string(info.param.name); });

TEST(Heads, ParametersOfTheTransformAreThoseOfThePublicLayout) {
  std::vector<std::string> names;
  for (const auto& p : encoder({"", {}, Pooling::kFirst, {.transform = true}}, Device::cpu(), DType::kF32)->parameters()) {
    if (p.name.starts_with("head.")) names.push_back(p.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"head.dense.weight", "head.dense.bias", "head.norm.weight", "head.norm.bias", "head.bias"}));
}

TEST(Heads, NoSpanLiesInPaddingOrWhereTheInputsForbidIt) {
  const auto chosen = [](bool layer, bool given) {
    const auto model = encoder({"", {HeadKind::kSpans}, Pooling::kFirst, {.span_layer = layer}}, Device::cpu(), DType::kF32);
    ModelInputs inputs = batch_of({HeadKind::kSpans}, Device::cpu()).inputs;
    if (given) inputs.choosable = Tensor::of<uint8_t>({kRows, kLength}, std::vector<uint8_t>(static_cast<size_t>(kRows * kLength), 1));
    const Tensor logits = model->logits(inputs, {}).value();
    std::string out;
    for (int64_t i = 0; i < kRows * kLength; ++i) {
      const float* at = logits.data<float>() + 2 * i;
      EXPECT_EQ(at[0] > -1e5f, at[1] > -1e5f);
      out += at[0] > -1e5f ? 'x' : '-';
    }
    return out;
  };
  EXPECT_EQ(chosen(false, false), "xxxxxxx" "xxxx---" "x------");
  EXPECT_EQ(chosen(true, false), "x-xxxxx" "xxxx---" "x------");  // BigBird: not in the question, but at its first token
  EXPECT_EQ(chosen(true, true), std::string(21, 'x'));
}

TEST(Heads, TheTypesOfAQuestionAndItsContextComeFromTheFocus) {
  const FamilyInfo* info = find_family("longformer");
  auto options = info->make();
  dynamic_cast<LongformerOptions&>(*options).layout.token_types = 2;
  options->body.dim = 16, options->body.layers = 1, options->body.heads = 2;
  info->resolve(*options, {.sequence_length = 12, .form = Form::kEncoder});
  const ModelSpec spec{.family = "longformer", .options = options, .form = Form::kEncoder, .vocabulary = 11, .head = {HeadKind::kSpans}, .memory = {}};
  const auto model = make_model(spec, 5, Device::cpu());
  ModelInputs inputs = batch_of(spec.head, Device::cpu()).inputs;
  const auto logits = [&] {
    const Tensor found = model->logits(inputs, {}).value();
    return std::vector<float>(found.data<float>(), found.data<float>() + found.elements());
  };
  const auto by_focus = logits();
  std::vector<int32_t> types(static_cast<size_t>(kRows * kLength), 1);
  types[0] = types[1] = types[7] = types[14] = 0;
  inputs.token_types = Tensor::of<int32_t>({kRows, kLength}, types);
  EXPECT_EQ(logits(), by_focus);
  inputs.token_types = Tensor::zeros({kRows, kLength}, DType::kI32, Device::cpu());
  EXPECT_NE(logits(), by_focus);
}

TEST(Heads, ClassesNeedAtLeastTwo) {
  try {
    encoder({"", {HeadKind::kClasses, 1}}, Device::cpu(), DType::kF32);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("1 classes"), std::string::npos) << error.what();
  }
}

TEST(Heads, OnlyATokenHeadGenerates) {
  const auto model = encoder({"", {HeadKind::kClasses, 3}}, Device::cpu(), DType::kF32);
  EXPECT_THROW(model->start_decoding(1, 4, {}), ConfigError);
}

TEST(Heads, AnEncoderDecoderPredictsTokens) {
  const FamilyInfo* info = find_family("transformer");
  auto options = info->make();
  options->body.dim = 16, options->body.layers = 1, options->body.heads = 2;
  info->resolve(*options, {.sequence_length = 12, .form = Form::kEncoderDecoder});
  ModelSpec spec;
  spec.options = options;
  spec.form = Form::kEncoderDecoder;
  spec.vocabulary = 11;
  EXPECT_NO_THROW(make_any_model(spec, 5, Device::meta()));
  spec.head = {HeadKind::kClasses, 3};
  EXPECT_THROW(make_any_model(spec, 5, Device::meta()), ConfigError);
}

}  // namespace
}  // namespace longhaul::models
