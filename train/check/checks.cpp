#include "train/check/checks.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/optim/optimizer.h"
#include "models/local/options.h"
#include "models/model.h"
#include "train/trainer/step.h"

namespace longhaul::train {
namespace {

constexpr int64_t kVocabulary = 64, kBatch = 2, kLength = 150;  // three tiles, the last one ragged

std::unique_ptr<models::LanguageModel> model_of(const std::string& family, Device device) {
  const models::FamilyInfo* info = models::find_family(family);
  auto options = info->make();
  models::BodyOptions& body = options->body;
  body.dim = 64, body.layers = 2, body.heads = 4, body.max_positions = kLength, body.init_std = 0.1;
  if (auto* local = dynamic_cast<models::LocalOptions*>(options.get())) local->window = 40;
  info->resolve(*options, {.sequence_length = kLength, .form = models::Form::kDecoder});
  models::ModelSpec spec;
  spec.family = family;
  spec.options = options;
  spec.vocabulary = kVocabulary;
  return models::make_model(spec, 11, device);
}

Tensor ids(Device device, uint64_t stream) {
  const RandomStream random{.seed = stream, .step = 0, .layer = 0, .purpose = RandomPurpose::kTest};
  std::vector<int32_t> values;
  for (uint64_t i = 0; i < kBatch * kLength; ++i) values.push_back(static_cast<int32_t>(random.word(i) % kVocabulary));
  return Tensor::of<int32_t>({kBatch, kLength}, values, device);
}

// Loss and gradients of one batch, as numbers of the host.
std::vector<std::vector<float>> gradients_of(const models::LanguageModel& model, DType compute) {
  TapeScope scope;
  nn::StepContext context;
  context.compute = compute;
  const auto result = model.loss({ids(model.device(), 1), {}, {}}, ids(model.device(), 2), context,
                                 {.scale = 1.0 / (kBatch * kLength)});
  scope.tape().backward(result.loss, Tensor::of<float>({1}, {1.0f}, model.device()));
  std::vector<std::vector<float>> out;
  const auto add = [&out](const Tensor& t) { out.emplace_back(t.data<float>(), t.data<float>() + t.elements()); };
  add(result.loss.value());
  for (const auto& parameter : model.parameters()) add(parameter.variable.gradient());
  return out;
}

// Largest distance between two sets of gradients, each tensor by its own Euclidean norm.
double distance(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  double worst = 0;
  for (size_t t = 0; t < a.size(); ++t) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < a[t].size(); ++i) {
      error += std::pow(static_cast<double>(a[t][i]) - b[t][i], 2);
      norm += std::pow(static_cast<double>(b[t][i]), 2);
    }
    const double relative = std::sqrt(error / std::max(norm, 1e-16));
    if (!(relative <= worst)) worst = relative;  // a NaN is kept
  }
  return worst;
}

CheckOutcome against_reference(const std::string& family, DType compute, double limit, Device device) {
  const auto got = gradients_of(*model_of(family, device), compute);
  const auto want = gradients_of(*model_of(family, Device::reference()), DType::kF32);
  const double error = distance(got, want);
  return {error <= limit, fmt::format("loss and gradients differ by {:.1e} (limit {:.0e})", error, limit)};
}

CheckOutcome equal_for_any_threads(Device device) {
  struct Restore {
    int threads = thread_count();
    ~Restore() { set_thread_count(threads); }
  } restore;
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    if (compute == DType::kBF16 && device.kind == DeviceKind::kReference) continue;
    std::vector<std::vector<float>> first;
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      const auto found = gradients_of(*model_of("local", device), compute);
      if (first.empty()) first = found;
      for (size_t t = 0; t < found.size(); ++t) {
        if (std::memcmp(found[t].data(), first[t].data(), found[t].size() * sizeof(float)) != 0) {
          return {false, fmt::format("{}: tensor {} differs between 1 and {} threads", name_of(compute), t, threads)};
        }
      }
    }
  }
  return {true, "equal bits with 1, 2 and 3 threads"};
}

// A model that is trained on one batch again and again.
struct Learner {
  std::unique_ptr<models::LanguageModel> model;
  std::vector<optim::Parameter> parameters;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<TrainingStep> step;

  explicit Learner(Device device) : model(model_of("transformer", device)) {
    for (const auto& parameter : model->parameters()) parameters.push_back({parameter.name, parameter.variable});
    optimizer = optim::make_optimizer(parameters, {});
    step = std::make_unique<TrainingStep>(*model, parameters, *optimizer, nullptr,
                                          StepOptions{.micro_batch = 1, .clip_norm = 1.0});
  }
  double run(int64_t number) const {
    return step
        ->run({.batch = {.inputs = {.tokens = ids(model->device(), 1)}, .targets = ids(model->device(), 2)},
               .scored = kBatch * kLength,
               .step = number,
               .learning_rate = 3e-3})
        .loss;
  }
};

CheckOutcome learns(Device device) {
  const Learner learner(device);
  const double first = learner.run(1);
  double last = first;
  for (int64_t step = 2; step <= 30; ++step) last = learner.run(step);
  return {last < 0.7 * first, fmt::format("loss {:.3f} -> {:.3f} in 30 steps", first, last)};
}

// Weights as a stateful part.
class Weights final : public Stateful {
 public:
  explicit Weights(const models::LanguageModel& model) : model_(model) {}
  void save_state(StateWriter& out) const override {
    for (const auto& parameter : model_.parameters()) out.tensor(parameter.name, parameter.variable.value());
  }
  void load_state(StateReader& in) override {
    for (const auto& parameter : model_.parameters()) in.tensor(parameter.name, parameter.variable.value());
  }

 private:
  const models::LanguageModel& model_;
};

CheckOutcome comes_back(Device device) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("longhaul-check-{}", getpid());
  struct Remove {
    std::filesystem::path folder;
    ~Remove() {
      std::error_code ignored;
      std::filesystem::remove_all(folder, ignored);
    }
  } remove{folder};
  io::make_folders(folder);
  const Learner saved(device), loaded(device);
  saved.run(1);
  Weights out(*saved.model), in(*loaded.model);
  checkpoint::StateRegistry registry, other;
  registry.add("model", checkpoint::Section::kModel, out);
  registry.add("optimizer", checkpoint::Section::kOptimizer, *saved.optimizer);
  other.add("model", checkpoint::Section::kModel, in);
  other.add("optimizer", checkpoint::Section::kOptimizer, *loaded.optimizer);
  checkpoint::CheckpointContent content;
  content.step = 1;
  content.state = checkpoint::capture(registry);
  const auto report = checkpoint::save_checkpoint(folder, content, {});
  loaded.run(1);  // the optimizer's state exists, with other values
  loaded.run(2);
  checkpoint::load_checkpoint(report.folder, other);
  for (const auto& parameter : loaded.parameters) parameter.variable.changed();
  const bool same = checkpoint::capture(registry).hash() == checkpoint::capture(other).hash();
  const double a = saved.run(2), b = loaded.run(2);
  return {same && a == b, fmt::format("{} bytes saved; state {}, next loss {}", report.bytes,
                                      same ? "equal" : "DIFFERS", a == b ? "equal" : "DIFFERS")};
}

}  // namespace

const std::vector<SelfCheck>& self_checks() {
  static const std::vector<SelfCheck> all = {
      {"dense model, f32", [](Device d) { return against_reference("transformer", DType::kF32, 1e-4, d); }},
      {"local model, f32", [](Device d) { return against_reference("local", DType::kF32, 1e-4, d); }},
      {"dense model, bf16",
       [](Device d) -> CheckOutcome {
         if (d.kind == DeviceKind::kReference) return {true, "the plain loops compute in f32 and f64 only"};
         return against_reference("transformer", DType::kBF16, 0.05, d);  // operands keep 8 bits of mantissa
       }},
      {"training", learns},
      {"save and load", comes_back},
      // Last: teams of other sizes stay in the thread pool and slow down what follows.
      {"determinism", equal_for_any_threads},
  };
  return all;
}

}  // namespace longhaul::train
