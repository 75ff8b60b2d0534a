#include <gtest/gtest.h>

#include "framework/autograd/tape.h"
#include "framework/ops/support.h"
#include "framework/pattern/builders.h"
#include "models/common/encoder_decoder.h"
#include "models/common/self_attention.h"
#include "models/model.h"

namespace longhaul::models {
namespace {

ModelSpec spec_of(NormPlacement norm, MemoryOptions memory = {}) {
  const FamilyInfo* info = find_family("transformer");
  auto options = info->make();
  options->body.dim = 16, options->body.layers = 2, options->body.heads = 2, options->body.feedforward = 24, options->body.max_positions = 20, options->body.norm = norm;
  info->resolve(*options, {.sequence_length = 20, .form = Form::kEncoderDecoder, .reversible = false});
  ModelSpec spec;
  spec.options = options;
  spec.form = Form::kEncoderDecoder;
  spec.vocabulary = 11;
  spec.memory = memory;
  return spec;
}

ModelInputs tokens(int64_t batch, int64_t length, int step, Device device) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < batch * length; ++i) values.push_back(static_cast<int32_t>((i * step + i / 4) % 11));
  return {Tensor::of<int32_t>({batch, length}, values, device), {}, {}};
}

double loss_and_gradients(const SequenceModel& model, std::vector<Tensor>* gradients) {
  TapeScope scope;
  const Device device = model.device();
  const auto result = model.loss(tokens(2, 13, 3, device), tokens(2, 7, 5, device), tokens(2, 7, 4, device).tokens, {.training = true, .compute = DType::kF64}, {.scale = 0.1});
  if (gradients) {
    for (const auto& p : model.parameters()) p.variable.clear_gradient();
    const Tensor one = Tensor::of<double>({1}, {1.0}, device);
    scope.tape().backward(result.loss, one);
    for (const auto& p : model.parameters()) gradients->push_back(p.variable.needs_gradient() ? ops::cast_tensor(p.variable.gradient(), DType::kF64) : Tensor());
  }
  return result.loss.value().data<double>()[0];
}

/// A few elements of every parameter against central differences.
void expect_numeric(const SequenceModel& model, const std::vector<Tensor>& gradients) {
  const auto parameters = model.parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    if (!gradients[k].defined()) continue;
    double* values = parameters[k].variable.value().data<double>();
    for (int64_t i = 0; i < gradients[k].elements(); i += 1 + gradients[k].elements() / 3) {
      const double original = values[i];
      const auto at = [&](double value) {
        values[i] = value;
        const double loss = loss_and_gradients(model, nullptr);
        values[i] = original;
        return loss;
      };
      EXPECT_NEAR(gradients[k].data<double>()[i], (at(original + 1e-5) - at(original - 1e-5)) / 2e-5, 1e-7) << parameters[k].name << " element " << i;
    }
  }
}

class EncoderDecoder : public ::testing::TestWithParam<NormPlacement> {};

TEST_P(EncoderDecoder, GradientsReachBothSides) {
  for (const Recompute recompute : {Recompute::kNone, Recompute::kLayer}) {
    MemoryOptions memory;
    memory.recompute = recompute;
    const auto model = make_sequence_model(spec_of(GetParam(), memory), 5, Device::reference(), DType::kF64);
    std::vector<Tensor> gradients;
    loss_and_gradients(*model, &gradients);
    expect_numeric(*model, gradients);
  }
}

TEST_P(EncoderDecoder, DecodingWithACacheEqualsTheWholeTarget) {
  const auto model = make_sequence_model(spec_of(GetParam()), 5, Device::cpu());
  const NoTapeScope quiet;
  ModelInputs source = tokens(2, 13, 3, Device::cpu());
  source.valid = Tensor::of<uint8_t>({2, 13}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0});
  const ModelInputs target = tokens(2, 7, 5, Device::cpu());
  const Tensor expected = model->logits(source, target, {}).value();
  const auto state = model->start_decoding(source, 7, {});
  int64_t at = 0;
  for (const int64_t count : {1, 3, 1, 2}) {
    const Tensor logits = model->decode(ops::dense(target.tokens.slice(1, at, at + count)), *state, {});
    at += count;
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t v = 0; v < 11; ++v) EXPECT_NEAR(logits.data<float>()[b * 11 + v], expected.data<float>()[(b * 7 + at - 1) * 11 + v], 1e-5);
    }
  }
}

/// Sides of different depth, heads and feed-forward, with inputs of their own, a scaled table, a norm and a bias on the logits.
std::unique_ptr<SequenceModel> uneven_model(NormPlacement norm, Device device, DType dtype) {
  ModelSpec spec = spec_of(norm);
  BodyOptions encoder = spec.options->body, decoder = encoder;
  encoder.attention_bias = decoder.attention_bias = false;
  encoder.activation = Activation::kGeluTanh;
  encoder.max_positions = 13;
  decoder.max_positions = 7;
  decoder.layers = 1, decoder.heads = decoder.kv_heads = 4, decoder.head_dim = 4, decoder.feedforward = 20;
  const auto mixers = [](const BodyOptions& body, PatternRule rule) -> MixerFactory {
    return [body, patterns = std::make_shared<PatternCache>(std::move(rule))](int layer, nn::Initializer& init) {
      return std::make_unique<SelfAttention>(SelfAttentionOptions::from(body, layer), patterns, init);
    };
  };
  nn::Initializer init(3, device, dtype);
  auto model = build_encoder_decoder(spec, {.encoder = encoder, .decoder = decoder, .input = {.scale = 4, .norm = true}, .own_inputs = true, .head = {.logits_bias = true}},
                                     mixers(encoder, pattern::dense), mixers(decoder, pattern::causal), init);
  for (const auto& p : model->parameters()) {
    if (p.name != "head.logits_bias") continue;
    for (int64_t v = 0; v < 11; ++v) {
      if (dtype == DType::kF64) p.variable.value().data<double>()[v] = 0.3 * static_cast<double>(v % 3);
      else p.variable.value().data<float>()[v] = 0.3f * static_cast<float>(v % 3);
    }
  }
  return model;
}

TEST_P(EncoderDecoder, SidesMayDiffer) {
  const auto model = uneven_model(GetParam(), Device::reference(), DType::kF64);
  std::vector<Tensor> gradients;
  loss_and_gradients(*model, &gradients);
  expect_numeric(*model, gradients);
  std::vector<std::string> names;
  for (const auto& p : model->parameters()) names.push_back(p.name);
  for (const char* name : {"head.logits_bias", "encoder.position_embedding.weight", "decoder.embedding_norm.bias", "encoder.layers.1.attention.qkv.weight", "decoder.layers.0.cross.out.weight"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  }
  EXPECT_EQ(std::count(names.begin(), names.end(), "encoder.layers.0.attention.qkv.bias"), 0);
  EXPECT_EQ(std::count(names.begin(), names.end(), "decoder.layers.1.attention.qkv.weight"), 0);
}

TEST_P(EncoderDecoder, ABufferIsAddedToTheLogitsAndIsNoParameter) {
  const auto model = uneven_model(GetParam(), Device::reference(), DType::kF64);
  const NoTapeScope quiet;
  const auto logits = [&] { return model->logits(tokens(1, 5, 3, Device::reference()), tokens(1, 2, 5, Device::reference()), {.compute = DType::kF64}).value(); };
  const Tensor with = logits();
  const int64_t count = model->parameter_count();
  for (const auto& p : model->parameters()) {
    if (p.variable.needs_gradient()) continue;
    EXPECT_EQ(p.name, "head.logits_bias");
    EXPECT_EQ(p.variable.shape(), (Shape{1, 11}));
    p.variable.value().zero();
  }
  const Tensor without = logits();
  for (int64_t i = 0; i < with.elements(); ++i) EXPECT_NEAR(with.data<double>()[i] - without.data<double>()[i], 0.3 * static_cast<double>(i % 11 % 3), 1e-12);
  int64_t trained = 0;
  for (const auto& p : model->parameters()) trained += p.variable.needs_gradient() ? p.variable.value().elements() : 0;
  EXPECT_EQ(count, trained);
}

TEST_P(EncoderDecoder, HiddenStatesAreTheStreamBetweenLayers) {
  const auto model = uneven_model(GetParam(), Device::reference(), DType::kF64);
  const NoTapeScope quiet;
  std::vector<Variable> encoder, decoder;
  ModelInputs source = tokens(2, 13, 3, Device::reference()), target = tokens(2, 7, 5, Device::reference());
  source.hidden_states = &encoder, target.hidden_states = &decoder;
  model->logits(source, target, {.compute = DType::kF64});
  EXPECT_EQ(encoder.size(), 3u);
  EXPECT_EQ(decoder.size(), 2u);
  for (const Variable& state : encoder) EXPECT_EQ(state.shape(), (Shape{2, 13, 16}));
  // The embedding and the last state went through a layer norm whose gain is still 1.
  for (const Variable& state : {encoder.front(), encoder.back(), decoder.front(), decoder.back()}) {
    double sum = 0;
    for (int64_t i = 0; i < 16; ++i) sum += state.value().data<double>()[i] * state.value().data<double>()[i];
    EXPECT_NEAR(sum, 16, 0.05);
  }
}

INSTANTIATE_TEST_SUITE_P(Norms, EncoderDecoder, ::testing::Values(NormPlacement::kPre, NormPlacement::kPost));

}  // namespace
}  // namespace longhaul::models
