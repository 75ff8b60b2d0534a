#include "models/reformer/reference.h"

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/base/io.h"
#include "framework/ops/support.h"
#include "models/exchange/reference.h"
#include "models/reformer/exchange.h"
#include "models/reformer/reference_layers.h"

namespace longhaul::models {
namespace {

using Tensors = std::map<std::string, Tensor>;

/// Targets of a case: a decoder's labels are those of the token itself.
Tensor targets_of(const ReferenceCase& reference, bool causal) {
  const Tensor labels = needed_ids(reference, "labels");
  const Tensor out = Tensor::empty(labels.shape(), DType::kI32, labels.device());
  const int64_t length = labels.size(1);
  for (int64_t i = 0; i < labels.elements(); ++i) {
    const bool last = causal && i % length + 1 == length;
    out.data<int32_t>()[i] = last ? -1 : labels.data<int32_t>()[causal ? i + 1 : i];
  }
  return out;
}

/// The recorded rotations, by layer.
std::shared_ptr<Selections> recorded(const ReferenceCase& reference, int layers) {
  auto out = std::make_shared<Selections>();
  for (int layer = 0; layer < layers; ++layer) {
    const auto found = reference.tensors.find("aux.lsh." + std::to_string(layer) + ".rotations");
    if (found == reference.tensors.end()) continue;
    const Tensor rotations = Tensor::empty(found->second.shape(), ops::statistics_dtype(reference.dtype), reference.device);
    ops::table(rotations).elementwise.copy(found->second, rotations);
    Selections::of(out->rotations, layer) = rotations;
  }
  return out;
}

/// Buckets as the case records them: [B, H, R, padded length], numbered on from round to round, padding in a bucket of its own.
void add_buckets(const ReferenceCase& reference, const Selections& chosen, const ReformerOptions& o, Tensors& out) {
  for (size_t layer = 0; layer < chosen.buckets.size(); ++layer) {
    const std::string name = "aux.lsh." + std::to_string(layer) + ".buckets";
    const auto stored = reference.tensors.find(name);
    if (stored == reference.tensors.end() || !chosen.buckets[layer].defined()) continue;
    const Tensor& found = chosen.buckets[layer];
    const int64_t rounds = found.size(2), length = found.size(3), padded = stored->second.size(3);
    int64_t padding = 1;
    for (const int64_t factor : o.bucket_factors(length)) padding *= factor;
    const Tensor mask = stored_flags(reference, "attention_mask");
    const bool pads = padded > length || (mask.defined() && std::any_of(mask.data<uint8_t>(), mask.data<uint8_t>() + mask.elements(), [](uint8_t m) { return m == 0; }));
    const Tensor all = Tensor::empty(stored->second.shape(), DType::kI32, Device::cpu());
    for (int64_t i = 0; i < all.elements(); ++i) {
      const int64_t n = i % padded, round = i / padded % rounds;
      const int64_t own = n < length ? found.data<int32_t>()[i / padded * length + n] : padding;
      all.data<int32_t>()[i] = static_cast<int32_t>(own + round * (padding + (pads ? 1 : 0)));
    }
    out[name] = all;
  }
}

/// The most likely next token, again and again, from the whole text each time.
Tensor generate(const LanguageModel& model, const ReferenceCase& reference, const std::shared_ptr<Selections>& rotations) {
  const NoTapeScope quiet;
  const Tensor prompt = needed_ids(reference, "prompt_ids");
  const int64_t batch = prompt.size(0), total = reference.tensors.at("out.generated").size(1);
  const Tensor out = Tensor::zeros({batch, total}, DType::kI64, Device::cpu());
  for (int64_t at = 0; at < total; ++at) {
    if (at < prompt.size(1)) {
      for (int64_t b = 0; b < batch; ++b) out.data<int64_t>()[b * total + at] = prompt.data<int32_t>()[b * prompt.size(1) + at];
      continue;
    }
    std::vector<int32_t> seen;
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t n = 0; n < at; ++n) seen.push_back(static_cast<int32_t>(out.data<int64_t>()[b * total + n]));
    }
    ModelInputs inputs;
    inputs.tokens = Tensor::of<int32_t>({batch, at}, seen, reference.device);
    inputs.selections = std::make_shared<Selections>(Selections{{}, rotations->rotations});
    const Tensor logits = host_tensor(model.logits(inputs, {.compute = reference.dtype}).value());
    for (int64_t b = 0; b < batch; ++b) {
      const float* row = logits.data<float>() + (b * at + at - 1) * logits.size(2);
      out.data<int64_t>()[b * total + at] = std::max_element(row, row + logits.size(2)) - row;
    }
  }
  return out;
}

class ReformerReference final : public ReferenceLoader {
 public:
  std::string_view system() const override { return "reformer"; }

  Tensors run(const ReferenceCase& reference) const override {
    const io::Path folder(reference.folder);
    const PublicReformer facts = read_reformer(io::read_file(folder / "config.json"), exchange::tensor_names(folder));
    const auto model = make_model(facts.spec, 0, reference.device, reference.dtype);
    set_weights(*model, folder, facts.names);
    const ReformerOptions& options = *facts.options;
    const nn::StepContext context{.training = in_training(reference), .compute = reference.dtype};
    const auto rotations = recorded(reference, options.body.layers);
    const auto inputs = [&] {
      ModelInputs in;
      in.tokens = needed_ids(reference, "input_ids");
      in.valid = stored_flags(reference, "attention_mask");
      in.selections = std::make_shared<Selections>(Selections{{}, rotations->rotations});
      return in;
    };
    const Tensor targets = targets_of(reference, options.causal());
    const auto scored = std::count_if(targets.data<int32_t>(), targets.data<int32_t>() + targets.elements(), [](int32_t t) { return t >= 0; });
    Tensors out;
    {
      std::vector<Variable> states;
      ModelInputs observed = inputs();
      observed.hidden_states = &states;
      const NoTapeScope quiet;
      out["out.logits"] = host_tensor(model->logits(observed, context).value());
      for (size_t k = 0; k < states.size(); ++k) out["out.hidden_states." + std::to_string(k)] = host_tensor(states[k].value());
      add_buckets(reference, *observed.selections, options, out);
    }
    {
      TapeScope scope;
      const auto result = model->loss(inputs(), targets, context, {.scale = 1.0 / static_cast<double>(scored)});
      out["out.loss"] = host_tensor(result.loss.value()).reshape(Shape{});
      const Tensor one = ops::like(result.loss.value());
      ops::table(one).elementwise.fill(one, 1);
      scope.tape().backward(result.loss, one);
    }
    public_gradients(*model, facts.names, out);
    if (reference.tensors.contains("prompt_ids")) out["out.generated"] = generate(*model, reference, rotations);
    return out;
  }
};

}  // namespace

std::vector<std::shared_ptr<const ReferenceLoader>> reformer_references() { return {std::make_shared<ReformerReference>(), lsh_layer_reference()}; }

}  // namespace longhaul::models
