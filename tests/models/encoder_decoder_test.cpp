#include <gtest/gtest.h>

#include "framework/autograd/tape.h"
#include "framework/ops/support.h"
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
    for (const auto& p : model.parameters()) gradients->push_back(ops::cast_tensor(p.variable.gradient(), DType::kF64));
  }
  return result.loss.value().data<double>()[0];
}

class EncoderDecoder : public ::testing::TestWithParam<NormPlacement> {};

TEST_P(EncoderDecoder, GradientsReachBothSides) {
  for (const Recompute recompute : {Recompute::kNone, Recompute::kLayer}) {
    MemoryOptions memory;
    memory.recompute = recompute;
    const auto model = make_sequence_model(spec_of(GetParam(), memory), 5, Device::reference(), DType::kF64);
    std::vector<Tensor> gradients;
    loss_and_gradients(*model, &gradients);
    const auto parameters = model->parameters();
    for (size_t k = 0; k < parameters.size(); ++k) {
      double* values = parameters[k].variable.value().data<double>();
      for (int64_t i = 0; i < gradients[k].elements(); i += 1 + gradients[k].elements() / 3) {
        const double original = values[i];
        const auto at = [&](double value) {
          values[i] = value;
          const double loss = loss_and_gradients(*model, nullptr);
          values[i] = original;
          return loss;
        };
        EXPECT_NEAR(gradients[k].data<double>()[i], (at(original + 1e-5) - at(original - 1e-5)) / 2e-5, 1e-7) << parameters[k].name << " element " << i;
      }
    }
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

INSTANTIATE_TEST_SUITE_P(Norms, EncoderDecoder, ::testing::Values(NormPlacement::kPre, NormPlacement::kPost));

}  // namespace
}  // namespace longhaul::models
