#include "train/evaluate/evaluate.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <map>

#include "data/sampler/batches.h"
#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "models/common/segment_memory.h"
#include "train/evaluate/buckets.h"
#include "train/trainer/model_batch.h"

namespace longhaul::train {
namespace {

constexpr int64_t kBatchTokens = 8192;  // products reach their full speed well below this many rows

int64_t stride_of(const EvaluationRequest& request) {
  switch (request.protocol) {
    case EvaluationProtocol::kBlock:
      return request.context;
    case EvaluationProtocol::kSliding:
      return 1;
    case EvaluationProtocol::kStrided:
      break;
    case EvaluationProtocol::kMemory:
      return request.context;
  }
  check<ConfigError>(request.stride > 0, "[eval] protocol strided needs a stride of 1 to {} tokens, received {}",
                     request.context, request.stride);
  return request.stride;
}

// Where the targets of a batch stand in the split.
class TargetPlaces {
 public:
  explicit TargetPlaces(const data::TokenSource& source) : source_(source) {}

  struct Place {
    int64_t document = 0;
    int64_t position = 0;
  };
  // The place of the token that follows `position` of `document`.
  Place after(int64_t document, int64_t position) {
    if (document != document_) {
      document_ = document;
      range_ = source_.document(document);
    }
    const int64_t next = range_.begin + position + 1;
    if (next < range_.end) return {document, position + 1};
    const int64_t other = source_.document_of(next);
    return {other, next - source_.document(other).begin};
  }

 private:
  const data::TokenSource& source_;
  int64_t document_ = -1;
  data::DocumentRange range_;
};

// Bytes of text each id stands for; empty where a text does not come back from its ids.
std::vector<int32_t> bytes_of_ids(const data::TokenSource& source) {
  const data::Tokenizer& tokenizer = source.tokenizer();
  std::vector<int32_t> bytes;
  if (source.fidelity() != data::Fidelity::kExact) return bytes;
  for (int32_t id = 0; id < static_cast<int32_t>(tokenizer.vocabulary_size()); ++id) {
    bytes.push_back(static_cast<int32_t>(tokenizer.decode({&id, 1}).size()));
  }
  return bytes;
}

}  // namespace

void check_vocabulary(const models::Model& model, int64_t ids) {
  check<ConfigError>(ids == model.spec().vocabulary || ids <= model.spec().options->body.vocabulary,
                     "[eval] the tokenizer has {} ids but the model has {}\n"
                     "  hint: evaluate with the tokenizer the model was trained with",
                     ids, model.spec().vocabulary);
}

EvaluationResult evaluate(const models::LanguageModel& model, const std::shared_ptr<const data::TokenSource>& source,
                          const EvaluationRequest& request) {
  const int64_t stride = stride_of(request);
  check_vocabulary(model, source->tokenizer().vocabulary_size());
  const data::EvaluationBatches batches(
      source, {.context = request.context, .stride = stride, .cross_documents = request.cross_documents});
  const bool carries = request.protocol == EvaluationProtocol::kMemory;
  const auto memory =
      carries ? model.start_memory(
                    {.rows = 1, .length = request.memory, .slots = request.slots, .compute = request.compute})
              : nullptr;
  check<ConfigError>(!carries || memory,
                     "[eval] protocol memory carries state from window to window, which this model does not have\n"
                     "  hint: use block, strided or sliding");
  check<ConfigError>(!carries || request.batch <= 1,
                     "[eval] protocol memory reads one window after the other, received a batch of {}", request.batch);
  check<ConfigError>(
      !memory || request.context % memory->granularity() == 0,
      "[eval] windows of {} tokens are no multiple of model.memory.rate = {}: they would never enter the memory\n"
      "  hint: --context {} is one",
      request.context, memory ? memory->granularity() : 1,
      memory ? (request.context / memory->granularity() + 1) * memory->granularity() : 0);
  const int64_t rows = carries             ? 1
                       : request.batch > 0 ? request.batch
                                           : std::max<int64_t>(1, kBatchTokens / request.context);

  EvaluationResult result;
  const data::EvaluationCounts& counts = batches.counts();
  result.tokens = counts.tokens;
  result.bytes = counts.text.bytes;
  result.characters = counts.text.characters;
  result.words = counts.text.words;
  result.documents = counts.documents;
  result.unscored = counts.unscored;
  result.fidelity = source->fidelity();
  result.protocol = request.protocol;
  result.context = request.context;
  result.stride = stride;
  result.memory = memory ? memory->plan().length : 0;

  nn::StepContext context;
  context.compute = request.compute;
  TargetPlaces places(*source);
  const std::vector<int32_t> token_bytes = bytes_of_ids(*source);
  LossBuckets by_position, by_context;
  int64_t scored = 0;
  const NoTapeScope no_tape;
  const auto start = std::chrono::steady_clock::now();
  for (int64_t first = 0; first < batches.windows(); first += rows) {
    const data::Batch batch = batches.read(first, rows);
    // A stream begins with the split, or with each document.
    if (memory && (first == 0 || (!request.cross_documents && batch.positions.data<int32_t>()[0] == 0)))
      memory->reset();
    const int64_t before = memory ? memory->filled(0, 1) : 0;
    const auto loss = model.loss(model_batch(batch, model.device(), memory.get()), context, {});
    const int64_t width = batch.tokens.size(1);
    const float* nll = loss.nll.data<float>();
    const int32_t* targets = batch.targets.data<int32_t>();
    const int32_t* documents = batch.documents.data<int32_t>();
    const int32_t* positions = batch.positions.data<int32_t>();
    for (int64_t i = 0; i < batch.tokens.elements(); ++i) {
      if (targets[i] < 0) continue;
      const auto place = places.after(documents[i], positions[i]);
      result.nats += nll[i];
      const int64_t bytes = token_bytes.empty() ? 0 : token_bytes[static_cast<size_t>(targets[i])];
      by_position.add(place.position, nll[i], bytes);
      by_context.add(before + i % width + 1, nll[i], bytes);
      if (request.per_token) request.per_token({place.document, place.position, targets[i], nll[i]});
    }
    scored += batch.scored;
    if (request.progress) {
      check(request.progress(scored, counts.tokens), "[eval] stopped after {} of {} tokens", scored, counts.tokens);
    }
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  check<InternalError>(scored == counts.tokens, "an evaluation scored another number of targets than it has");
  result.by_position = by_position.means(result.bytes);
  result.by_context = by_context.means(result.bytes);
  return result;
}

}  // namespace longhaul::train
