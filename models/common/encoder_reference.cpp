#include "models/common/encoder_reference.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/io.h"
#include "models/exchange/reference.h"

namespace longhaul::models {
namespace {

/// First and last position of each row, [B, 2]; -1 where it lies behind the row, which the public code does not score.
Tensor span_labels(const ReferenceCase& reference, int64_t length) {
  const Tensor ends[] = {needed_ids(reference, "start_positions"), needed_ids(reference, "end_positions")};
  std::vector<int32_t> values;
  for (int64_t b = 0; b < ends[0].elements(); ++b) {
    for (const Tensor& end : ends) values.push_back(end.data<int32_t>()[b] < length ? end.data<int32_t>()[b] : -1);
  }
  return Tensor::of<int32_t>({ends[0].elements(), 2}, values, reference.device);
}

/// Where the public code lets spans lie: everywhere, padding too, but not in a question behind its first token. With a
/// `question_end` the focus is the question, that id included; a row without that id has one token of it.
void mark_questions(ModelInputs& inputs, int32_t question_end) {
  const int64_t batch = inputs.tokens.size(0), length = inputs.tokens.size(1);
  const Tensor focus = Tensor::zeros({batch, length}, DType::kU8, inputs.tokens.device());
  inputs.choosable = Tensor::empty({batch, length}, DType::kU8, inputs.tokens.device());
  for (int64_t b = 0; b < batch && question_end >= 0; ++b) {
    const int32_t* row = inputs.tokens.data<int32_t>() + b * length;
    const int32_t* found = std::find(row, row + length, question_end);
    std::fill_n(focus.data<uint8_t>() + b * length, found == row + length ? 1 : found - row + 1, uint8_t{1});
  }
  for (int64_t i = 0; i < batch * length; ++i) inputs.choosable.data<uint8_t>()[i] = i % length == 0 || focus.data<uint8_t>()[i] == 0;
  if (question_end >= 0) inputs.focus = focus;
}

/// Column `column` of logits [B, N, 2] on the host.
Tensor span_logits(const Tensor& logits, int64_t column) {
  const Tensor out = Tensor::empty({logits.size(0), logits.size(1)}, logits.dtype(), Device::cpu());
  for (int64_t i = 0; i < out.elements(); ++i) {
    if (logits.dtype() == DType::kF64) {
      out.data<double>()[i] = logits.data<double>()[2 * i + column];
    } else {
      out.data<float>()[i] = logits.data<float>()[2 * i + column];
    }
  }
  return out;
}

}  // namespace

std::map<std::string, Tensor> EncoderReference::run(const ReferenceCase& reference) const {
  const io::Path folder(reference.folder);
  const PublicEncoder facts = open_(io::read_file(folder / "config.json"), reference);
  const auto model = make_model(facts.spec, 0, reference.device, reference.dtype);
  set_weights(*model, folder, facts.names);
  // Every dropout is 0: training decides the random blocks alone.
  const nn::StepContext context{.training = in_training(reference)};

  ModelInputs inputs;
  inputs.tokens = needed_ids(reference, "input_ids");
  inputs.valid = stored_flags(reference, "attention_mask");
  inputs.focus = stored_flags(reference, "global_attention_mask");
  inputs.token_types = stored_ids(reference, "token_type_ids");
  const bool spans = facts.spec.head.kind == HeadKind::kSpans;
  if (spans) mark_questions(inputs, facts.question_end);
  const Tensor labels = spans ? span_labels(reference, inputs.tokens.size(1)) : needed_ids(reference, "labels");
  const int32_t* label = labels.data<int32_t>();
  const auto scored = std::count_if(label, label + labels.elements(), [](int32_t target) { return target >= 0; });

  std::map<std::string, Tensor> out = facts.aux;
  {
    std::vector<Variable> states;
    ModelInputs observed = inputs;
    observed.hidden_states = &states;
    const NoTapeScope quiet;
    const Tensor logits = host_tensor(model->logits(observed, context).value());
    if (spans) {
      out["out.start_logits"] = span_logits(logits, 0);
      out["out.end_logits"] = span_logits(logits, 1);
    } else {
      out["out.logits"] = logits;
    }
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
