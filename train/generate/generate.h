// defines: GenerationState, GenerateRequest, Generation, generate, start_tokens
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/tokenizers/tokenizer.h"
#include "models/model.h"
#include "train/generate/sampling.h"

namespace longhaul::train {

/// Everything a model of constant memory knows of a text, and the newest token, which it has not read yet.
struct GenerationState {
  std::map<std::string, Tensor> memory;
  int32_t last = 0;
};

struct GenerateRequest {
  std::vector<int32_t> prompt;  // at least one token, unless there is a state before it; of an encoder_decoder the id before a target
  std::vector<int32_t> source;  // of an encoder_decoder: what it writes about, with its end; else empty
  int64_t max_new = 200;
  SamplingOptions sampling;
  int64_t beams = 1;  // above 1: beam search; nothing is drawn
  uint64_t seed = 1;
  int64_t ids = 0;              // only the first so many are made, those of the tokenizer; 0: all rows of the table
  int32_t end = -1;             // stops behind this token; -1: never
  DType compute = DType::kF32;  // operands of products
  /// The ids that may be made, of a table of `rows`.
  size_t choices(int64_t rows) const { return static_cast<size_t>(ids > 0 && ids < rows ? ids : rows); }
  const GenerationState* before = nullptr;  // the prompt goes on from there; null: from nothing
  bool keep_state = false;                  // fill Generation::state; not with beams
};

struct Generation {
  std::vector<int32_t> tokens;  // new ones; without the end token
  bool ended = false;           // by the end token
  double log_probability = 0;   // nats, of all new tokens and the end token, without temperature or cuts
  double prefill_seconds = 0;   // reading the prompt
  double seconds = 0;           // making the tokens
  GenerationState state;        // behind the new tokens, where it was asked for
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
/// is longer than the model's table, is missing or has no reader, or a state that is asked of a model whose memory grows
/// with the text
Generation generate(const models::Model& model, const GenerateRequest& request,
                    const std::function<void(int32_t token)>& on_token = {});

/// What stands before a text without a prompt: the begin id, else the end id of the document before, else a line end,
/// else id 0.
std::vector<int32_t> start_tokens(const data::Tokenizer& tokenizer);

}  // namespace longhaul::train
