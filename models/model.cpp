#include "models/model.h"

#include "framework/base/error.h"
#include "models/common/segment_memory.h"

namespace longhaul::models {
namespace {

const FamilyInfo& family_of(const ModelSpec& spec) {
  const FamilyInfo* family = find_family(spec.family);
  check<ConfigError>(family != nullptr, "[model] there is no family \"{}\" in this build", spec.family);
  check<InternalError>(spec.options != nullptr && spec.vocabulary > 0, "a model specification without options or vocabulary");
  return *family;
}

}  // namespace

int64_t Model::parameter_count() const {
  int64_t count = 0;
  for (const auto& parameter : parameters()) count += parameter.variable.needs_gradient() ? parameter.variable.value().elements() : 0;
  return count;
}

void DecodeState::set_memory(const std::map<std::string, Tensor>&) {
  fail<CheckpointError>("[generate] this model keeps no memory that could be given to it");
}

void Model::prepare(DecodeState& state, int64_t batch, int64_t capacity) {
  state.batch_ = batch;
  state.capacity_ = capacity;
}

void Model::advance(DecodeState& state, int64_t tokens) { state.length_ += tokens; }

void Model::check_room(const Tensor& tokens, const DecodeState& state) {
  check<ShapeError>(tokens.rank() == 2 && tokens.size(0) == state.batch() && tokens.size(1) > 0 && state.length() + tokens.size(1) <= state.capacity(),
                    "[decode] tokens {} do not fit a cache of {} sequences with {} of {} tokens", tokens.shape(), state.batch(), state.length(), state.capacity());
}

ops::LossOptions Model::chunked(ops::LossOptions options) const {
  if (options.chunk_rows == 0) options.chunk_rows = spec_.memory.chunk_loss;
  return options;
}

bool Model::trained_apart(std::string_view) const { return false; }

std::unique_ptr<SegmentMemory> Model::start_memory(const MemoryRequest&) const { return nullptr; }

ModelBatch rows_of(const ModelBatch& batch, int64_t first, int64_t end) {
  const auto part = [&](const Tensor& tensor) { return tensor.defined() ? tensor.slice(0, first, end) : Tensor(); };
  const auto parts = [&](const ModelInputs& all) {
    ModelInputs out;
    out.tokens = part(all.tokens), out.documents = part(all.documents), out.valid = part(all.valid), out.focus = part(all.focus);
    out.choosable = part(all.choosable);
    out.token_types = part(all.token_types), out.planned_scored = all.planned_scored, out.memory = all.memory;
    return out;
  };
  return {parts(batch.inputs), part(batch.targets), parts(batch.source)};
}

ops::CrossEntropyResult LanguageModel::loss(const ModelBatch& batch, const nn::StepContext& context, const ops::LossOptions& options) const {
  return loss(batch.inputs, batch.targets, context, options);
}

Variable LanguageModel::outputs(const ModelBatch& batch, const nn::StepContext& context) const { return logits(batch.inputs, context); }

ops::CrossEntropyResult SequenceModel::loss(const ModelBatch& batch, const nn::StepContext& context, const ops::LossOptions& options) const {
  return loss(batch.source, batch.inputs, batch.targets, context, options);
}

Variable SequenceModel::outputs(const ModelBatch& batch, const nn::StepContext& context) const { return logits(batch.source, batch.inputs, context); }

std::unique_ptr<Model> make_any_model(const ModelSpec& spec, uint64_t seed, Device device, DType dtype) {
  if (spec.form == Form::kEncoderDecoder) return make_sequence_model(spec, seed, device, dtype);
  return make_model(spec, seed, device, dtype);
}

std::unique_ptr<LanguageModel> make_model(const ModelSpec& spec, uint64_t seed, Device device, DType dtype) {
  const FamilyInfo& family = family_of(spec);
  check<ConfigError>(family.build != nullptr, "[model] family {} has the form encoder_decoder only", spec.family);
  nn::Initializer init(seed, device, dtype);
  return family.build(spec, init);
}

std::unique_ptr<SequenceModel> make_sequence_model(const ModelSpec& spec, uint64_t seed, Device device, DType dtype) {
  const FamilyInfo& family = family_of(spec);
  check<ConfigError>(family.build_sequence != nullptr, "[model] family {} has no encoder_decoder form", spec.family);
  nn::Initializer init(seed, device, dtype);
  return family.build_sequence(spec, init);
}

}  // namespace longhaul::models
