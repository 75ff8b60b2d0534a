#include "models/compressive/reference.h"

#include <nlohmann/json.hpp>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "models/compressive/model.h"

namespace longhaul::models {
namespace {

using Json = nlohmann::json;
using Tensors = std::map<std::string, Tensor>;

/// How a stored parameter lies in ours.
enum class Layout { kSame, kKernel, kTransposedKernel };  // kernels are [out, in, c] and [in, out, c]

struct Place {
  std::string theirs, ours;
  Layout layout = Layout::kSame;
  int64_t begin = 0, end = -1;  // rows of ours; -1: all
};

Tensor to_host(const Tensor& tensor) {
  const Tensor rows = ops::dense(tensor), out = Tensor::empty(rows.shape(), rows.dtype(), Device::cpu());
  ops::table(rows).elementwise.copy(rows, out);
  return out;
}

Tensor stored(const ReferenceCase& reference, const std::string& name) {
  const auto found = reference.tensors.find(name);
  check<DataError>(found != reference.tensors.end(), "[parity] {}: there is no tensor {}", reference.name, name);
  const Tensor out = Tensor::empty(found->second.shape(), reference.dtype, reference.device);
  ops::table(out).elementwise.copy(found->second, out);
  return out;
}

/// [first, .., last] axes of a stored kernel seen as ours: [out, c, in] or [c, out, in].
Tensor as_ours(const Tensor& theirs, Layout layout) {
  if (layout == Layout::kKernel) return theirs.permute({0, 2, 1});
  return layout == Layout::kTransposedKernel ? theirs.permute({2, 1, 0}) : theirs;
}

Tensor part_of(const Place& place, const Tensor& ours) { return place.end < 0 ? ours : ours.slice(0, place.begin, place.end); }

const nn::NamedParameter& named(const std::vector<nn::NamedParameter>& parameters, const std::string& name) {
  for (const nn::NamedParameter& parameter : parameters) {
    if (parameter.name == name) return parameter;
  }
  fail<InternalError>("the model of a case has no parameter {}", name);
}

void set_parameters(const nn::Module& module, const ReferenceCase& reference, const std::vector<Place>& places) {
  const auto parameters = module.parameters();
  for (const Place& place : places) {
    const nn::NamedParameter& parameter = named(parameters, place.ours);
    const Tensor values = ops::dense(as_ours(stored(reference, "param." + place.theirs), place.layout)), into = part_of(place, parameter.variable.value());
    ops::table(into).elementwise.copy(values.reshape(into.shape()), into);
    parameter.variable.changed();
    parameter.variable.clear_gradient();
  }
}

void add_gradients(const nn::Module& module, const ReferenceCase& reference, const std::vector<Place>& places, Tensors& out) {
  const auto parameters = module.parameters();
  for (const Place& place : places) {
    const Tensor gradient = to_host(part_of(place, named(parameters, place.ours).variable.gradient()));
    const Tensor theirs = Tensor::empty(reference.tensors.at("param." + place.theirs).shape(), gradient.dtype(), Device::cpu());
    const Tensor seen = as_ours(theirs, place.layout);
    ops::table(theirs).elementwise.copy(gradient.reshape(seen.shape()), seen);
    out["grad." + place.theirs] = theirs;
  }
}

CompressionFunction function_of(const std::string& name) {
  for (const auto& [known, function] : {std::pair{"mean_pool", CompressionFunction::kMeanPool}, {"max_pool", CompressionFunction::kMaxPool}, {"conv", CompressionFunction::kConvolution},
                                        {"dilated_conv", CompressionFunction::kDilatedConvolution}, {"most_used", CompressionFunction::kMostUsed}}) {
    if (name == known) return function;
  }
  throw UnsupportedCase("a compression function \"" + name + "\"");
}

std::shared_ptr<CompressiveOptions> options_of(const Json& config) {
  auto out = std::make_shared<CompressiveOptions>();
  BodyOptions& body = out->body;
  body.form = Form::kDecoder;
  body.dim = config.at("D").get<int64_t>();
  out->rate = config.at("rate").get<int64_t>();
  out->compression.function = function_of(config.at("fn").get<std::string>());
  const std::string loss = config.value("loss", config.at("form") == "autoencoding" ? "autoencode" : "none");
  out->compression.loss = loss == "attention" ? CompressionLoss::kAttention : loss == "autoencode" ? CompressionLoss::kAutoEncoding : CompressionLoss::kNone;
  if (config.at("form") != "stream") return out;
  if (config.at("position") != "slot") throw UnsupportedCase("positions of slots other than their places");
  body.layers = config.at("layers").get<int>();
  body.heads = body.kv_heads = config.at("H").get<int>();
  body.head_dim = body.dim / body.heads;
  body.feedforward = config.at("F").get<int64_t>();
  body.norm = config.at("norm") == "pre" ? NormPlacement::kPre : NormPlacement::kPost;
  body.norm_eps = config.at("norm_eps").get<double>();
  body.max_positions = 1;
  SegmentOptions& memory = out->memory;
  memory.length = memory.eval_length = config.at("n_m").get<int64_t>();
  memory.eval_clamp = 0;
  memory.start = config.at("mem_init") == "empty" ? MemoryStart::kEmpty : MemoryStart::kZeros;
  out->compressed = out->eval_compressed = config.at("n_cm").get<int64_t>();
  out->segment = config.at("T").get<int64_t>();
  out->adaptive.embed_dim = body.dim;
  out->final_norm = config.at("final_norm").get<bool>() ? RecurrentOptions::FinalNorm::kYes : RecurrentOptions::FinalNorm::kNo;
  return out;
}

std::vector<Place> places_of(const CompressiveOptions& o) {
  std::vector<Place> out;
  const int64_t width = o.body.heads * o.body.head_dim;
  for (int i = 0; i < o.body.layers; ++i) {
    const std::string number = std::to_string(i), layer = "layers." + number + ".";
    const auto same = [&](const char* theirs, const char* ours) { out.push_back({layer + theirs, layer + ours}); };
    same("q.weight", "attention.query.weight");
    out.push_back({layer + "k.weight", layer + "attention.key_value.weight", Layout::kSame, 0, width});
    out.push_back({layer + "v.weight", layer + "attention.key_value.weight", Layout::kSame, width, 2 * width});
    same("r.weight", "attention.distance.weight");
    same("o.weight", "attention.out.weight");
    same("u_bias", "attention.biases.content");
    same("v_bias", "attention.biases.position");
    for (const auto& [theirs, ours] : {std::pair{"fc1", "feed_forward.in"}, {"fc2", "feed_forward.out"}, {"norm1", "attention_norm"}, {"norm2", "feed_forward_norm"}}) {
      for (const char* part : {".weight", ".bias"}) out.push_back({layer + theirs + part, layer + ours + part});
    }
    if (!o.learns()) continue;
    out.push_back({layer + "compress.weight", "compression." + number + ".convolution.weight", Layout::kKernel});
    out.push_back({layer + "compress.bias", "compression." + number + ".convolution.bias"});
  }
  return out;
}

Tensor side_by_side(const std::vector<Variable>& parts, int axis) {
  const NoTapeScope quiet;
  std::vector<Variable> constants;
  for (const Variable& part : parts) constants.push_back(Variable(part.value()));
  return ops::concat(constants, axis).value();
}

/// Segment after segment with both memories; one backward through all of them.
Tensors run_stream(const ReferenceCase& reference, const Json& config) {
  ModelSpec spec;
  spec.family = "compressive";
  const auto options = options_of(config);
  spec.options = options;
  spec.vocabulary = 1;
  nn::Initializer init(0, reference.device, reference.dtype);
  const CompressiveModel model(spec, init);
  const std::vector<Place> places = places_of(*options);
  set_parameters(model, reference, places);

  const Variable x = Variable::leaf(stored(reference, "in.x"));
  const int64_t batch = x.size(0), length = options->segment, segments = config.at("segments").get<int64_t>(), layers = options->body.layers, width = options->body.dim;
  nn::StepContext context;
  context.compute = reference.dtype;
  const auto state = model.start_memory({.rows = batch, .training = false, .length = 0, .compute = reference.dtype});
  auto& memory = dynamic_cast<CompressedMemory&>(*state);
  const bool reconstructs = options->compression.loss == CompressionLoss::kAttention;
  const Tensor hidden_seed = stored(reference, "cotangent.h"), loss_seed = reconstructs ? stored(reference, "cotangent.recon") : Tensor();
  const Tensor losses = Tensor::zeros({segments, layers}, reference.dtype, reference.device);
  std::vector<Variable> hidden, roots;
  std::vector<Tensor> seeds;
  TapeScope recording;
  for (int64_t s = 0; s < segments; ++s) {
    const auto pass = model.start_pass(memory, batch, context);
    auto& both = dynamic_cast<CompressedPass&>(*pass);
    if (reconstructs) both.want_losses();
    // The memory is written before the backward of what has read it.
    hidden.push_back(model.read(ops::slice(x, 1, s * length, (s + 1) * length), {}, &both, context, nullptr));
    both.keep();
    roots.push_back(hidden.back());
    seeds.push_back(ops::dense(hidden_seed.slice(1, s * length, (s + 1) * length)));
    for (int64_t i = 0; i < layers && reconstructs; ++i) {
      const Variable loss = both.losses()[0][static_cast<size_t>(i)];
      if (!loss.defined()) continue;
      const auto cell = [&](const Tensor& table) { return table.slice(0, s, s + 1).slice(1, i, i + 1); };
      ops::table(losses).elementwise.copy(loss.value().reshape({1, 1}), cell(losses));
      roots.push_back(loss);
      seeds.push_back(ops::dense(cell(loss_seed)).reshape({1}));
    }
  }
  recording.tape().backward(roots, seeds);
  Tensors out;
  add_gradients(model, reference, places, out);
  out["grad.x"] = to_host(x.gradient());
  out["out.h"] = to_host(side_by_side(hidden, 1));
  if (reconstructs) out["out.recon"] = to_host(losses);
  std::vector<Variable> rows, slots;
  for (int64_t i = 0; i < layers; ++i) {
    rows.emplace_back(ops::dense(memory.layer(i, 0, batch)).reshape({1, batch, memory.filled(0, batch), width}));
    slots.emplace_back(ops::dense(memory.slots(i, 0, batch)).reshape({1, batch, memory.filled_slots(0, batch), width}));
  }
  out["out.memory"] = to_host(side_by_side(rows, 0));
  out["out.compressed"] = to_host(side_by_side(slots, 0));
  return out;
}

/// Compression alone, or with what auto-encoding makes of it.
Tensors run_compression(const ReferenceCase& reference, const Json& config, bool autoencoding) {
  const auto options = options_of(config);
  nn::Initializer init(0, reference.device, reference.dtype);
  const Compression compression(*options, init);
  std::vector<Place> places;
  if (options->learns()) places = {{"weight", "convolution.weight", Layout::kKernel}, {"bias", "convolution.bias"}};
  if (autoencoding) places.insert(places.end(), {{"decoder.weight", "decoder.weight", Layout::kTransposedKernel}, {"decoder.bias", "decoder.bias"}});
  set_parameters(compression, reference, places);
  const Variable old = Variable::leaf(stored(reference, "in.old"));
  Tensor kept;
  if (options->compression.function == CompressionFunction::kMostUsed) kept = most_used(stored(reference, "aux.usage"), std::vector<int64_t>(static_cast<size_t>(old.size(1)), 1), options->rate);
  Tensors out;
  TapeScope recording;
  const Variable slots = compression(autoencoding ? Variable(old.value()) : old, kept);
  if (autoencoding) {
    const Variable told = compression.decode(slots), loss = mean_square(told, Variable(old.value()));
    out["out.loss"] = to_host(loss.value()).reshape(std::initializer_list<int64_t>{});
    out["out.reconstruction"] = to_host(told.value());
    recording.tape().backward(loss, stored(reference, "cotangent.loss").reshape({1}));
  } else {
    out["out.y"] = to_host(slots.value());
    recording.tape().backward(slots, stored(reference, "cotangent.y"));
  }
  add_gradients(compression, reference, places, out);
  out["grad.old"] = to_host(old.gradient());
  return out;
}

}  // namespace

Tensors CompressiveReference::run(const ReferenceCase& reference) const {
  const Json meta = Json::parse(reference.meta, nullptr, false);
  check<DataError>(meta.is_object() && meta.contains("config"), "[parity] {}: meta.json has no config", reference.name);
  const Json& config = meta["config"];
  try {
    const std::string form = config.at("form").get<std::string>();
    if (form == "stream") return run_stream(reference, config);
    if (form == "compression" || form == "autoencoding") return run_compression(reference, config, form == "autoencoding");
    throw UnsupportedCase("a model with memories of normalised inputs and learned positions that move with the number of keys; longhaul has those of Rae et al. 2019");
  } catch (const Json::exception& error) {
    fail<DataError>("[parity] {}: meta.json: {}", reference.name, error.what());
  }
}

}  // namespace longhaul::models
