#include "models/transformer_xl/reference.h"

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/ops/softmax.h"
#include "framework/ops/support.h"
#include "models/exchange/reference.h"
#include "models/recurrent/model.h"
#include "models/transformer_xl/exchange.h"

namespace longhaul::models {
namespace {

using Tensors = std::map<std::string, Tensor>;

Tensor ids(const ReferenceCase& reference, const std::string& name) {
  const auto found = reference.tensors.find(name);
  check<DataError>(found != reference.tensors.end() && found->second.rank() == 2, "[parity] {}: there is no tensor {}", reference.name, name);
  const Tensor& stored = found->second;
  std::vector<int32_t> values;
  for (int64_t n = 0; n < stored.elements(); ++n) values.push_back(static_cast<int32_t>(stored.data<int64_t>()[n]));
  return Tensor::of<int32_t>(stored.shape(), values, reference.device);
}

/// The loss shifts inside the segment: the last position has no target.
Tensor next_labels(const Tensor& labels) {
  const int64_t length = labels.size(1);
  const Tensor out = Tensor::empty(labels.shape(), DType::kI32, labels.device());
  for (int64_t n = 0; n < labels.elements(); ++n) out.data<int32_t>()[n] = n % length + 1 < length ? labels.data<int32_t>()[n + 1] : -1;
  return out;
}

Tensor scalar(const Tensor& one) { return host_tensor(one).reshape(std::initializer_list<int64_t>{}); }

void run_segment(const RecurrentModel& model, const ReferenceCase& reference, int number, SegmentMemory& memory, bool clusters, bool differentiate, const exchange::NameMap& names, Tensors& out) {
  const std::string s = "." + std::to_string(number);
  const Tensor tokens = ids(reference, "input_ids" + s), labels = ids(reference, "labels" + s);
  const int64_t batch = tokens.size(0), length = tokens.size(1);
  const nn::StepContext context{.training = false, .seed = 0, .step = 0, .first_row = 0, .compute = reference.dtype};
  TapeScope recording;
  SegmentTrace trace;
  const Variable hidden = model.run({.tokens = tokens, .documents = {}, .valid = {}, .memory = &memory}, context, &trace);
  const auto loss = model.tokens().loss(hidden, next_labels(labels), {.scale = 1.0 / static_cast<double>(batch * (length - 1))});
  if (differentiate) {
    for (const auto& parameter : model.parameters()) parameter.variable.clear_gradient();
    const Tensor one = ops::like(loss.loss.value());
    ops::table(one).elementwise.fill(one, 1);
    recording.tape().backward(loss.loss, one);
    public_gradients(model, names, out);
    out["out.loss"] = scalar(loss.loss.value());
  }
  const NoTapeScope quiet;
  const Variable logits = model.tokens().logits(Variable(hidden.value()));
  out["out.logits" + s] = host_tensor((clusters ? logits : ops::log_softmax(logits)).value());
  out["out.loss" + s] = scalar(loss.loss.value());
  out["out.losses" + s] = host_tensor(ops::dense(loss.nll.reshape({batch, length}).slice(1, 0, length - 1)));
  for (size_t k = 0; k < trace.hidden.size(); ++k) out["out.hidden_states" + s + "." + std::to_string(k)] = host_tensor(trace.hidden[k].value());
  for (int64_t layer = 0; layer < memory.plan().layers; ++layer)
    out["out.mems" + s + "." + std::to_string(layer)] = host_tensor(ops::dense(memory.layer(layer, 0, batch).permute({1, 0, 2})));
}

/// The prompt in one piece, then token by token.
Tensor generate(const RecurrentModel& model, const ReferenceCase& reference) {
  const NoTapeScope quiet;
  const Tensor prompt = ids(reference, "prompt_ids");
  const int64_t batch = prompt.size(0), total = reference.tensors.at("out.generated").size(1);
  nn::StepContext context;
  context.compute = reference.dtype;
  const auto state = model.start_decoding(batch, total, context);
  const Tensor out = Tensor::zeros({batch, total}, DType::kI64, Device::cpu());
  for (int64_t n = 0; n < prompt.elements(); ++n) out.data<int64_t>()[n / prompt.size(1) * total + n % prompt.size(1)] = prompt.data<int32_t>()[n];
  Tensor next = prompt;
  for (int64_t at = prompt.size(1); at < total; ++at) {
    const Tensor logits = host_tensor(model.decode(next, *state, context));
    std::vector<int32_t> best;
    for (int64_t b = 0; b < batch; ++b) {
      const float* row = logits.data<float>() + b * logits.size(1);
      best.push_back(static_cast<int32_t>(std::max_element(row, row + logits.size(1)) - row));
      out.data<int64_t>()[b * total + at] = best.back();
    }
    next = Tensor::of<int32_t>({batch, 1}, best, reference.device);
  }
  return out;
}

}  // namespace

Tensors TransfoXlReference::run(const ReferenceCase& reference) const {
  const io::Path folder = reference.folder;
  const PublicTransfoXl read = read_transfo_xl(io::read_file(folder / "config.json"));
  ModelSpec spec;
  spec.family = "transformer_xl";
  spec.options = read.options;
  spec.vocabulary = read.vocabulary;
  nn::Initializer init(0, reference.device, reference.dtype);
  const RecurrentModel model(spec, init);
  set_weights(model, folder, read.names);
  Tensors out;
  const int64_t batch = ids(reference, "input_ids.0").size(0);
  const auto memory = model.start_memory({.rows = batch, .training = false, .length = 0, .compute = reference.dtype});
  int segments = 0;
  while (reference.tensors.contains("input_ids." + std::to_string(segments))) ++segments;
  for (int s = 0; s < segments; ++s) run_segment(model, reference, s, *memory, !read.options->adaptive.cutoffs.empty(), s + 1 == segments, read.names, out);
  if (reference.tensors.contains("prompt_ids")) out["out.generated"] = generate(model, reference);
  return out;
}

}  // namespace longhaul::models
