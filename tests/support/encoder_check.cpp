#include "tests/support/encoder_check.h"

#include <gtest/gtest.h>

#include "framework/autograd/tape.h"
#include "tests/support/mixer_check.h"

namespace longhaul::testing {

using namespace models;

ModelSpec encoder_spec(const std::string& family, int64_t length, const std::function<void(FamilyOptions&)>& change, Form form) {
  const FamilyInfo* info = find_family(family);
  const auto options = info->make();
  options->body.dim = 16, options->body.layers = 2, options->body.heads = 2, options->body.feedforward = 24, options->body.init_std = 0.3;
  if (change) change(*options);
  info->resolve(*options, {.sequence_length = length, .form = form});
  ModelSpec spec;
  spec.family = family;
  spec.options = options;
  spec.form = form;
  spec.vocabulary = 11;
  return spec;
}

ModelInputs encoder_inputs(int64_t length, Device device) {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> valid;
  for (int64_t i = 0; i < 2 * length; ++i) {
    tokens.push_back(static_cast<int32_t>((i * 7 + i / 3) % 11));
    valid.push_back(i < 2 * length - length / 3);
  }
  ModelInputs out;
  out.tokens = Tensor::of<int32_t>({2, length}, tokens, device);
  out.valid = Tensor::of<uint8_t>({2, length}, valid, device);
  return out;
}

void expect_model_gradients(const ModelSpec& spec, int64_t length) {
  const auto model = make_model(spec, 5, Device::reference(), DType::kF64);
  const ModelInputs inputs = encoder_inputs(length, Device::reference());
  std::vector<int32_t> targets;
  for (int64_t i = 0; i < 2 * length; ++i) targets.push_back(i % 3 == 0 && i < 2 * length - length / 3 ? static_cast<int32_t>(i % 11) : -1);
  const Tensor target = Tensor::of<int32_t>({2, length}, targets, Device::reference());
  const nn::StepContext context{.training = true, .seed = 1, .step = 2, .compute = DType::kF64};
  const auto loss = [&] { return model->loss(inputs, target, context, {.scale = 0.1}).loss; };
  std::vector<std::vector<double>> gradients;
  {
    TapeScope scope;
    const Variable result = loss();
    for (const auto& p : model->parameters()) p.variable.clear_gradient();
    scope.tape().backward(result, Tensor::of<double>({1}, {1.0}, Device::reference()));
    for (const auto& p : model->parameters()) gradients.push_back(numbers_of(p.variable.gradient()));
  }
  const NoTapeScope quiet;
  const auto parameters = model->parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    const Tensor& tensor = parameters[k].variable.value();
    double* values = tensor.data<double>();
    constexpr double kStep = 1e-5;
    for (int64_t i = 0; i < tensor.elements(); i += 1 + tensor.elements() / 4) {
      const double original = values[i];
      const auto at = [&](double value) {
        values[i] = value;
        const double found = loss().value().data<double>()[0];
        values[i] = original;
        return found;
      };
      const double numeric = (at(original + kStep) - at(original - kStep)) / (2 * kStep);
      EXPECT_NEAR(gradients[k][static_cast<size_t>(i)], numeric, 1e-6) << parameters[k].name << " element " << i;
    }
  }
}

std::string complaints(const ModelSpec& spec, const ModelContext& context) {
  std::string out;
  find_family(spec.family)->check(*spec.options, context, [&](std::string_view key, const std::string& what) { out += std::string(out.empty() ? "" : "\n") + std::string(key) + ": " + what; });
  return out;
}

}  // namespace longhaul::testing
