#include "models/common/sequence_reference.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/ops/support.h"
#include "models/exchange/model_yaml.h"
#include "models/exchange/reference.h"

namespace longhaul::models {
namespace {

int64_t scored(const Tensor& targets) {
  return std::count_if(targets.data<int32_t>(), targets.data<int32_t>() + targets.elements(), [](int32_t target) { return target >= 0; });
}

void add_states(const char* name, const std::vector<Variable>& states, std::map<std::string, Tensor>& out) {
  for (size_t k = 0; k < states.size(); ++k) out[std::string(name) + std::to_string(k)] = host_tensor(states[k].value());
}

/// Start token first; sequences that have ended are filled up with padding.
Tensor greedy(const SequenceModel& model, const PublicSequenceModel& facts, const ModelInputs& source, int64_t most) {
  const int64_t batch = source.tokens.size(0);
  const auto start = static_cast<int32_t>(facts.spec.options->body.decoder_start);
  std::vector<std::vector<int64_t>> rows(static_cast<size_t>(batch), {start});
  std::vector<bool> ended(static_cast<size_t>(batch), false);
  std::vector<int32_t> next(static_cast<size_t>(batch), start);
  const auto state = model.start_decoding(source, most, {});
  for (int64_t made = 0; made < most && !std::all_of(ended.begin(), ended.end(), [](bool one) { return one; }); ++made) {
    const Tensor logits = host_tensor(model.decode(Tensor::of<int32_t>({batch, 1}, next, model.device()), *state, {}));  // [B, V]
    for (int64_t b = 0; b < batch; ++b) {
      const float* row = logits.data<float>() + b * logits.size(1);
      const auto best = static_cast<int32_t>(std::max_element(row, row + logits.size(1)) - row);
      const auto at = static_cast<size_t>(b);
      next[at] = ended[at] ? facts.pad : best;
      ended[at] = ended[at] || best == facts.end;
      rows[at].push_back(next[at]);
    }
  }
  std::vector<int64_t> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  return Tensor::of<int64_t>({batch, static_cast<int64_t>(rows.front().size())}, all);
}

}  // namespace

exchange::Family sequence_exchange(const std::string& family, const std::string& model_type, ReadSequenceModel read,
                                   std::function<std::string(const ModelSpec& trained)> to_json, std::optional<exchange::LongerPositions> positions) {
  exchange::Family out;
  out.name = family;
  out.model_types = {model_type};
  out.read = [family, read = std::move(read), positions = std::move(positions)](const std::string& config, const std::set<std::string>& tensors) {
    const PublicSequenceModel model = read(config, tensors);
    const int64_t longest = model.spec.options->body.max_positions;
    const exchange::ImportedData data{.objective = "seq2seq", .sequence_length = longest, .target_length = std::min(longest, model.target_positions)};
    return exchange::FamilyReading{model.names, exchange::model_yaml(family, *model.spec.options, data), positions, model.spec};
  };
  out.to_json = std::move(to_json);
  return out;
}

std::shared_ptr<const ReferenceLoader> sequence_reference(const std::string& family, ReadSequenceModel read, std::function<void(PublicSequenceModel&, const ReferenceCase&)> adapt) {
  return std::make_shared<SequenceReference>(family, [read = std::move(read), adapt = std::move(adapt)](const std::string& config_json, const ReferenceCase& reference) {
    PublicSequenceModel out = read(config_json, exchange::tensor_names(io::Path(reference.folder)));
    adapt(out, reference);
    return out;
  });
}

std::map<std::string, Tensor> SequenceReference::run(const ReferenceCase& reference) const {
  const io::Path folder(reference.folder);
  const PublicSequenceModel facts = open_(io::read_file(folder / "config.json"), reference);
  const auto model = make_sequence_model(facts.spec, 0, reference.device, reference.dtype);
  set_weights(*model, folder, facts.names);
  // Every dropout is 0: training decides the random blocks alone.
  const nn::StepContext context{.training = in_training(reference)};

  std::vector<Variable> encoder_states, decoder_states;
  ModelInputs source, target;
  source.tokens = needed_ids(reference, "input_ids");
  source.valid = stored_flags(reference, "attention_mask");
  source.focus = stored_flags(reference, "global_attention_mask");
  target.tokens = needed_ids(reference, "decoder_input_ids");
  const Tensor labels = needed_ids(reference, "labels");
  std::map<std::string, Tensor> out = facts.aux;
  {
    ModelInputs seen_source = source, seen_target = target;
    seen_source.hidden_states = &encoder_states;
    seen_target.hidden_states = &decoder_states;
    const NoTapeScope quiet;
    out["out.logits"] = host_tensor(model->logits(seen_source, seen_target, context).value());
  }
  add_states("out.encoder_hidden_states.", encoder_states, out);
  add_states("out.decoder_hidden_states.", decoder_states, out);
  out["out.encoder_last_hidden_state"] = host_tensor(encoder_states.back().value());
  {
    TapeScope scope;
    const auto result = model->loss(source, target, labels, context, {.scale = 1.0 / static_cast<double>(scored(labels))});
    out["out.loss"] = host_tensor(result.loss.value()).reshape(Shape{});
    const Tensor one = Tensor::of<float>({1}, {1.0f}, reference.device);
    scope.tape().backward(result.loss, one);
  }
  public_gradients(*model, facts.names, out);
  if (reference.tensors.contains("out.generated")) {
    const auto meta = nlohmann::json::parse(reference.meta);
    out["out.generated"] = greedy(*model, facts, source, meta.at("generation").at("max_new_tokens").get<int64_t>());
  }
  return out;
}

}  // namespace longhaul::models
