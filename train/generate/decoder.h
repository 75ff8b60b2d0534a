// defines: Decoder, longest_of, longest_written, log_probability
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/model.h"

namespace longhaul::train {

/// Rows of tokens of one length, and the model's view of their end.
class Decoder {
 public:
  /// `most`: tokens a row may come to have; `source`: what an encoder_decoder writes about, else empty; `before`: the memory
  /// of what precedes the rows, null where nothing does. It must outlive the decoder.
  Decoder(const models::Model& model, std::vector<std::vector<int32_t>> rows, int64_t most, DType compute,
          std::vector<int32_t> source = {}, const std::map<std::string, Tensor>* before = nullptr);

  /// Reads all rows; the logits [rows, V] after their last tokens.
  Tensor read();
  /// Appends one token to each row; `parents[r]` is the old row that new row r continues. The logits after them.
  Tensor append(std::span<const int32_t> tokens, std::span<const int64_t> parents);
  /// The memory of everything read so far; see DecodeState.
  std::map<std::string, Tensor> memory() const { return state_->memory(); }

 private:
  std::unique_ptr<models::DecodeState> start(int64_t batch) const;
  const models::Model& model_;
  std::vector<std::vector<int32_t>> rows_;
  std::vector<int32_t> source_;
  int64_t capacity_;  // tokens the model can see
  nn::StepContext context_;
  const std::map<std::string, Tensor>* before_;
  std::unique_ptr<models::DecodeState> state_;
};

/// Tokens the model can number, of an encoder-decoder those of its source: the rows of its position table, or no limit.
int64_t longest_of(const models::Model& model);
/// The same of the tokens it writes.
int64_t longest_written(const models::Model& model);

/// log p(token) under logits, in f64.
double log_probability(std::span<const float> logits, int32_t token);

}  // namespace longhaul::train
