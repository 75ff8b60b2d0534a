#include "train/generate/decoder.h"

#include <algorithm>
#include <cmath>

namespace longhaul::train {

int64_t longest_of(const models::Model& model) {
  const models::BodyOptions& body = model.spec().options->body;
  const bool table = body.positions != models::Positions::kRotary && body.positions != models::Positions::kNone;
  return table ? body.max_positions : INT64_MAX;
}

int64_t longest_written(const models::Model& model) {
  const auto* pair = dynamic_cast<const models::SequenceModel*>(&model);
  return pair ? pair->longest_target() : longest_of(model);
}

Decoder::Decoder(const models::Model& model, std::vector<std::vector<int32_t>> rows, int64_t most, DType compute,
                 std::vector<int32_t> source, const std::map<std::string, Tensor>* before)
    : model_(model),
      rows_(std::move(rows)),
      source_(std::move(source)),
      capacity_(std::min(longest_written(model), most)),
      before_(before) {
  context_.compute = compute;
}

std::unique_ptr<models::DecodeState> Decoder::start(int64_t batch) const {
  if (const auto* pair = dynamic_cast<const models::SequenceModel*>(&model_)) {
    std::vector<int32_t> tokens;
    for (int64_t b = 0; b < batch; ++b) tokens.insert(tokens.end(), source_.begin(), source_.end());
    models::ModelInputs source;
    source.tokens = Tensor::of<int32_t>({batch, static_cast<int64_t>(source_.size())}, tokens, model_.device());
    return pair->start_decoding(source, capacity_, context_);
  }
  return dynamic_cast<const models::LanguageModel&>(model_).start_decoding(batch, capacity_, context_);
}

Tensor Decoder::read() {
  const auto batch = static_cast<int64_t>(rows_.size());
  const auto length = static_cast<int64_t>(rows_[0].size());
  // Room for at least as many tokens again, so that reading the rows anew stays rare.
  const int64_t seen = length <= capacity_ ? length : std::max<int64_t>(1, capacity_ / 2);
  std::vector<int32_t> values;
  for (const auto& row : rows_) values.insert(values.end(), row.end() - seen, row.end());
  state_.reset();  // the old cache goes before the new one comes
  state_ = start(batch);
  if (before_) state_->set_memory(*before_);
  return model_.decode(Tensor::of<int32_t>({batch, seen}, values, model_.device()), *state_, context_);
}

Tensor Decoder::append(std::span<const int32_t> tokens, std::span<const int64_t> parents) {
  bool same_rows = parents.size() == rows_.size();
  for (size_t r = 0; r < parents.size(); ++r) same_rows = same_rows && parents[r] == static_cast<int64_t>(r);
  if (!same_rows) {
    std::vector<std::vector<int32_t>> chosen;
    for (const int64_t parent : parents) chosen.push_back(rows_[static_cast<size_t>(parent)]);
    rows_ = std::move(chosen);
  }
  for (size_t r = 0; r < rows_.size(); ++r) rows_[r].push_back(tokens[r]);
  if (state_->length() == capacity_) return read();
  if (!same_rows && !state_->select(parents)) return read();
  const auto batch = static_cast<int64_t>(rows_.size());
  return model_.decode(Tensor::of<int32_t>({batch, 1}, {tokens.begin(), tokens.end()}, model_.device()), *state_,
                       context_);
}

double log_probability(std::span<const float> logits, int32_t token) {
  double largest = -INFINITY, total = 0;
  for (const float logit : logits) largest = std::max<double>(largest, logit);
  for (const float logit : logits) total += std::exp(logit - largest);
  return logits[static_cast<size_t>(token)] - largest - std::log(total);
}

}  // namespace longhaul::train
