#include "models/common/encoder_reference.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/io.h"
#include "models/exchange/reference.h"

namespace longhaul::models {
namespace {

constexpr int64_t kIgnored = -100;  // label of a position that is not scored

/// Whole numbers of the case as T; undefined where the case lacks them.
template <typename T>
Tensor whole_numbers(const ReferenceCase& reference, const std::string& name) {
  const auto found = reference.tensors.find(name);
  if (found == reference.tensors.end()) return {};
  check<DataError>(found->second.dtype() == DType::kI64, "[parity] {}: {} holds no whole numbers", reference.name, name);
  std::vector<T> values;
  const int64_t* data = found->second.data<int64_t>();
  for (int64_t i = 0; i < found->second.elements(); ++i) values.push_back(data[i] == kIgnored ? T(-1) : static_cast<T>(data[i]));
  return Tensor::of<T>(found->second.shape(), values, reference.device);
}

Tensor needed(const ReferenceCase& reference, const std::string& name) {
  const Tensor out = whole_numbers<int32_t>(reference, name);
  check<DataError>(out.defined(), "[parity] {}: there is no {}", reference.name, name);
  return out;
}

}  // namespace

bool in_training(const ReferenceCase& reference) { return nlohmann::json::parse(reference.meta).value("mode", "eval") == "train"; }

std::map<std::string, Tensor> EncoderReference::run(const ReferenceCase& reference) const {
  const io::Path folder(reference.folder);
  const PublicEncoder facts = open_(io::read_file(folder / "config.json"), reference);
  const auto model = make_model(facts.spec, 0, reference.device, reference.dtype);
  set_weights(*model, folder, facts.names);
  // Every dropout is 0: training decides the random blocks alone.
  const nn::StepContext context{.training = in_training(reference)};

  ModelInputs inputs;
  inputs.tokens = needed(reference, "input_ids");
  inputs.valid = whole_numbers<uint8_t>(reference, "attention_mask");
  inputs.focus = whole_numbers<uint8_t>(reference, "global_attention_mask");
  inputs.token_types = whole_numbers<int32_t>(reference, "token_type_ids");
  const Tensor labels = needed(reference, "labels");
  const int32_t* label = labels.data<int32_t>();
  const auto scored = std::count_if(label, label + labels.elements(), [](int32_t target) { return target >= 0; });

  std::map<std::string, Tensor> out = facts.aux;
  {
    std::vector<Variable> states;
    ModelInputs observed = inputs;
    observed.hidden_states = &states;
    const NoTapeScope quiet;
    out["out.logits"] = host_tensor(model->logits(observed, context).value());
    for (size_t k = 0; k < states.size(); ++k) out["out.hidden_states." + std::to_string(k)] = host_tensor(states[k].value());
  }
  {
    TapeScope scope;
    const auto result = model->loss(inputs, labels, context, {.scale = 1.0 / static_cast<double>(scored)});
    out["out.loss"] = host_tensor(result.loss.value()).reshape(Shape{});
    scope.tape().backward(result.loss, Tensor::of<float>({1}, {1.0f}, reference.device));
  }
  public_gradients(*model, facts.names, out);
  for (const std::string& buffer : facts.names.buffers) {
    // Tensors that no loss of this model reaches are recorded with a gradient of zero.
    const auto stored = reference.tensors.find("grad." + buffer);
    if (stored != reference.tensors.end()) out[stored->first] = Tensor::zeros(stored->second.shape(), DType::kF32, Device::cpu());
  }
  return out;
}

}  // namespace longhaul::models
