#include "train/commands/eval.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "framework/base/error.h"
#include "train/commands/device.h"
#include "train/commands/open_model.h"
#include "train/evaluate/effective_context.h"
#include "train/evaluate/evaluate.h"
#include "train/evaluate/reports.h"
#include "train/observe/format.h"

namespace longhaul::cli {
namespace {

train::EvaluationProtocol protocol_of(const EvalOptions& options, bool recurrent) {
  switch (options.protocol) {
    case Protocol::kSliding:
      return train::EvaluationProtocol::kSliding;
    case Protocol::kStrided:
      return train::EvaluationProtocol::kStrided;
    case Protocol::kMemory:
      return train::EvaluationProtocol::kMemory;
    case Protocol::kAuto:
      if (options.stride > 0) return train::EvaluationProtocol::kStrided;
      return recurrent ? train::EvaluationProtocol::kMemory : train::EvaluationProtocol::kBlock;
    case Protocol::kBlock:
      break;
  }
  return train::EvaluationProtocol::kBlock;
}

// Says how far the evaluation is, twice a second on a terminal, every ten seconds elsewhere.
class Progress {
 public:
  Progress(Console& console, std::string_view unit) : console_(console), unit_(unit) {}
  bool operator()(int64_t done, int64_t of) {
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_ < std::chrono::milliseconds(console_.live() ? 500 : 10'000)) return true;
    shown_ = now;
    console_.progress(fmt::format("[eval]  {} of {}{}, {:.0f} %", done, of, unit_,
                                  100 * static_cast<double>(done) / static_cast<double>(of)));
    return true;
  }

 private:
  Console& console_;
  std::string_view unit_;
  std::chrono::steady_clock::time_point shown_ = std::chrono::steady_clock::now();
};

data::Split open_split(const EvalOptions& options, const OpenedModel& opened) {
  // Columns have the names they had in training, unless a flag says otherwise.
  std::vector<data::DataEntry> entries = options.data.entries();
  if (!opened.config.data.train.empty()) {
    const data::DataEntry& known = opened.config.data.train.front();
    for (data::DataEntry& entry : entries) {
      if (entry.text.empty() && opened.objective->info().table) entry.text = known.text;
      entry.label = known.label, entry.source = known.source, entry.target = known.target;
    }
  }
  return opened.objective->open("data", entries,
                                {.corpus = opened.config.data.corpus, .cache_folder = opened.config.data.cache});
}

int run_effective_context(const EvalOptions& options, const OpenedModel& first, Device device, Console& console) {
  check<ConfigError>(options.protocol == Protocol::kAuto && options.stride == 0 && options.memory == 0 && options.slots == 0 &&
                         !options.cross_documents && options.per_token.empty() && options.plot.empty(),
                     "[eval] --recl has windows of its own: --protocol, --stride, --memory, --slots, --cross-documents, --per-token and "
                     "--plot do not go with it");
  std::vector<OpenedModel> others;
  for (const std::string& name : options.recl_against) others.push_back(open_model(name, device));
  std::vector<train::ComparedModel> group;
  const auto add = [&](const std::string& name, const OpenedModel& opened) {
    const auto* model = dynamic_cast<const models::LanguageModel*>(opened.model.get());
    check<ConfigError>(model && opened.objective->info().kind == data::ObjectiveKind::kCausal,
                       "[eval] --recl compares causal models; the objective of {} is {}", name, opened.objective->info().name);
    check<ConfigError>(opened.objective->tokenizer().hash_hex() == first.objective->tokenizer().hash_hex(),
                       "[eval] --recl compares losses of the same tokens, but {} has another tokenizer than {}", name,
                       options.model);
    group.push_back({name, model, opened.compute});
  };
  add(options.model, first);
  for (size_t i = 0; i < others.size(); ++i) add(options.recl_against[i], others[i]);
  const data::Split split = open_split(options, first);
  const int64_t longest =
      options.context > 0 ? options.context : std::max<int64_t>(first.sequence_length - options.recl_step + 1, 0);
  const train::EffectiveContexts found = train::measure_effective_context(
      group, split.columns[0],
      {.step = options.recl_step, .longest = longest, .batch = options.batch, .progress = Progress(console, " evaluations")});
  console.end_progress();
  console.result(options.json ? train::to_json(found) : train::to_text(found));
  return 0;
}

}  // namespace

int run_eval(const EvalOptions& options, Console& console) {
  const bool fixed_stride = options.protocol == Protocol::kBlock || options.protocol == Protocol::kSliding ||
                            options.protocol == Protocol::kMemory;
  check<ConfigError>(!fixed_stride || options.stride == 0,
                     "[eval] --stride {} does not go with this --protocol, which has a stride of its own\n"
                     "  hint: use --protocol strided",
                     options.stride);
  const Device device = prepare_device(options.device);
  const OpenedModel opened = open_model(options.model, device, options.set);
  if (options.recl) return run_effective_context(options, opened, device, console);
  const bool causal = opened.objective->info().kind == data::ObjectiveKind::kCausal;
  check<ConfigError>(causal || options.plot.empty(),
                     "[eval] --plot draws the loss by position of causal models; this one's objective is {}",
                     opened.objective->info().name);
  const data::Split split = open_split(options, opened);

  train::EvaluationRequest request;
  const models::FamilyInfo& family = *models::find_family(opened.model->spec().family);
  const bool recurrent = family.streams != nullptr;
  request.protocol = protocol_of(options, recurrent);
  check<ConfigError>(options.memory == 0 || request.protocol == train::EvaluationProtocol::kMemory,
                     "[eval] --memory {} goes with --protocol memory of a recurrent model only", options.memory);
  check<ConfigError>(options.slots == 0 || request.protocol == train::EvaluationProtocol::kMemory,
                     "[eval] --slots {} goes with --protocol memory of a compressive model only", options.slots);
  request.memory = options.memory;
  request.slots = options.slots;
  request.context = options.context > 0 ? options.context : opened.sequence_length;
  request.stride = options.stride;
  request.cross_documents = options.cross_documents;
  request.batch = options.batch;
  request.compute = opened.compute;
  request.progress = Progress(console, "");
  std::optional<train::PerTokenFile> per_token;
  if (!options.per_token.empty()) {
    per_token.emplace(options.per_token, opened.objective->tokenizer());
    request.per_token = [&per_token](const train::TokenLoss& token) { per_token->add(token); };
  }
  const train::EvaluationResult result = train::evaluate(*opened.model, *opened.objective, split, request);
  console.end_progress();
  if (per_token) per_token->finish();
  if (!options.plot.empty()) {
    io::replace_file(options.plot, train::loss_by_position_svg(result, "Loss of " + opened.config.run.name));
  }
  if (result.whole_text && result.fidelity != data::Fidelity::kExact) {
    console.warn(
        "[eval] the tokenizer does not give this text back exactly: figures per byte and character would mean nothing");
  }
  if (family.caution) {
    if (const std::string caution = family.caution(*opened.model->spec().options); !caution.empty()) console.warn("[eval] " + caution);
  }
  console.result(options.json ? train::to_json(result) : train::to_text(result));
  return 0;
}

}  // namespace longhaul::cli
