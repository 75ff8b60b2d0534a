#include <algorithm>
#include <chrono>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "train/evaluate/evaluate.h"
#include "train/trainer/model_batch.h"

namespace longhaul::train {
namespace {

constexpr int64_t kBatchTokens = 8192;
constexpr uint64_t kSeed = 0;  // of every evaluation, so that runs with different seeds are scored on the same targets

EvaluationResult evaluate_samples(const models::Model& model, const data::Objective& objective,
                                  const data::Split& split, const EvaluationRequest& request) {
  const auto samples = objective.samples(
      split, {.sequence_length = request.context, .cross_documents = request.cross_documents, .seed = kSeed});
  const int64_t all = samples->count();
  const int64_t rows = request.batch > 0 ? request.batch : std::max<int64_t>(1, kBatchTokens / request.context);
  nn::StepContext context;
  context.compute = request.compute;
  data::Score score;
  const NoTapeScope no_tape;
  const auto start = std::chrono::steady_clock::now();
  for (int64_t first = 0; first < all; first += rows) {
    std::vector<data::Draw> draws;
    for (int64_t i = first; i < std::min(all, first + rows); ++i) draws.push_back({i, static_cast<uint64_t>(i)});
    data::Batch batch = samples->read(draws);
    for (const data::Draw& draw : draws) batch.samples.push_back(draw.sample);
    const models::ModelBatch inputs = model_batch(batch, model.device());
    const bool outputs = objective.judged() == data::Objective::Judged::kOutputs;
    const auto loss = outputs ? ops::CrossEntropyResult() : model.loss(inputs, context, {.best = true});
    objective.score(split, batch, outputs ? model.outputs(inputs, context).value() : loss.nll, loss.best, score);
    if (request.progress) {
      const int64_t done = std::min(all, first + rows);
      check(request.progress(done, all), "[eval] stopped after {} of {} samples", done, all);
    }
  }
  check<DataError>(score.targets > 0, "[eval] nothing can be scored: none of the {} samples has a target", all);
  check<InternalError>(score.rows == all, "an evaluation scored another number of samples than it has");

  EvaluationResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.nats = score.nats;
  result.tokens = score.targets;
  result.whole_text = false;
  result.context = result.stride = request.context;
  result.documents = split.columns[0]->documents();
  for (const auto& column : split.columns) {
    const data::TextCounts text = column->total();
    result.bytes += text.bytes, result.characters += text.characters, result.words += text.words;
    result.fidelity = std::max(result.fidelity, column->fidelity());
  }
  const auto mean = [&](const std::optional<double>& sum) {
    return sum ? std::optional<double>(*sum / static_cast<double>(score.rows)) : std::nullopt;
  };
  if (score.right) result.accuracy = *score.right / static_cast<double>(score.targets);
  result.exact = mean(score.exact);
  result.f1 = mean(score.f1);
  return result;
}

}  // namespace

EvaluationResult evaluate(const models::Model& model, const data::Objective& objective, const data::Split& split,
                          const EvaluationRequest& request) {
  if (objective.info().kind == data::ObjectiveKind::kCausal) {
    return evaluate(dynamic_cast<const models::LanguageModel&>(model), split.columns[0], request);
  }
  check_vocabulary(model, objective.tokenizer().vocabulary_size());
  check<ConfigError>(request.protocol == EvaluationProtocol::kBlock && !request.per_token,
                     "[eval] objective {} is scored sample by sample: protocols, strides and --per-token are for causal models",
                     objective.info().name);
  check<ConfigError>(request.context >= objective.info().shortest,
                     "[eval] context = {}: rows of objective {} need {} tokens", request.context, objective.info().name,
                     objective.info().shortest);
  return evaluate_samples(model, objective, split, request);
}

}  // namespace longhaul::train
