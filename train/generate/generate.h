// defines: GenerateRequest, Generation, generate, start_tokens
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "data/tokenizers/tokenizer.h"
#include "models/model.h"
#include "train/generate/sampling.h"

namespace longhaul::train {

struct GenerateRequest {
  std::vector<int32_t> prompt;  // at least one token; of an encoder_decoder the id before a target
  std::vector<int32_t> source;  // of an encoder_decoder: what it writes about, with its end; else empty
  int64_t max_new = 200;
  SamplingOptions sampling;
  int64_t beams = 1;  // above 1: beam search; nothing is drawn
  uint64_t seed = 1;
  int32_t end = -1;             // stops behind this token; -1: never
  DType compute = DType::kF32;  // operands of products
};

struct Generation {
  std::vector<int32_t> tokens;  // new ones; without the end token
  bool ended = false;           // by the end token
  double log_probability = 0;   // nats, of all new tokens and the end token, without temperature or cuts
  double prefill_seconds = 0;   // reading the prompt
  double seconds = 0;           // making the tokens
  double tokens_per_second() const { return seconds > 0 ? static_cast<double>(tokens.size()) / seconds : 0; }
};

/// Continues a prompt with cached decoding: the model sees each token once. The same seed gives the same text, whatever
/// the number of threads: the draw of token k depends on (seed, k) only.
///
/// A model with a position table of M rows sees at most M tokens: when they are full, it goes on with the newest M / 2
/// of them, numbered from 0 again; of a longer prompt it sees the end. Other models see everything.
///
/// An encoder_decoder reads its source once and ends at the last row of its table.
///
/// Beam search keeps the `beams` most likely beginnings; finished texts compete by log-probability per token, the end
/// token included (length normalisation, Wu et al. 2016, section 7, with alpha = 1).
///
/// `on_token` is told every new token as soon as it is known (with beams: at the end).
/// throws ConfigError for a model that does not generate, a prompt or source with ids outside its vocabulary, a source that
/// is longer than the model's table, is missing or has no reader
Generation generate(const models::Model& model, const GenerateRequest& request,
                    const std::function<void(int32_t token)>& on_token = {});

/// What stands before a text without a prompt: the begin id, else the end id of the document before, else a line end,
/// else id 0.
std::vector<int32_t> start_tokens(const data::Tokenizer& tokenizer);

}  // namespace longhaul::train
