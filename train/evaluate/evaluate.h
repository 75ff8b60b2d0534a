// defines: EvaluationProtocol, EvaluationRequest, TokenLoss, PositionLoss, EvaluationResult, check_vocabulary, evaluate
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/objectives/objective.h"
#include "models/model.h"

namespace longhaul::train {

/// How windows follow each other (data spec 1.3, 1.4).
enum class EvaluationProtocol {
  kBlock,    // stride = context: disjoint windows
  kStrided,  // a stride of the caller's choice
  kSliding,  // stride 1: every target sees all the context there is
  kMemory,   // state carried from window to window; only models with a memory have it
};
std::string_view name_of(EvaluationProtocol protocol);  // "block", "strided", "sliding", "memory"

/// One scored token, for --per-token.
struct TokenLoss {
  int64_t document = 0;  // of the split, from 0
  int64_t position = 0;  // in the document, from 0
  int32_t token = 0;
  double nll = 0;  // nats
};

struct EvaluationRequest {
  EvaluationProtocol protocol = EvaluationProtocol::kBlock;
  int64_t context = 0;           // L, tokens a window holds
  int64_t stride = 0;            // kStrided only: 1 <= stride <= context
  int64_t memory = 0;            // kMemory only: tokens kept before a window; 0 = as the model's options say
  int64_t slots = 0;             // likewise, of a compressed memory
  bool cross_documents = false;  // one stream over all documents
  int64_t batch = 0;            // windows at once; 0 = about 8,192 tokens of them. Does not change any figure's meaning
  DType compute = DType::kF32;  // operands of products
  /// Receives every scored token, in order of the windows.
  std::function<void(const TokenLoss&)> per_token = {};
  /// Told after each batch: targets (samples, where there is no protocol) scored so far, of how many. Returning false
  /// ends the evaluation with an error.
  std::function<bool(int64_t scored, int64_t of)> progress = {};
};

/// Mean loss of the targets whose position (or context) lies in [from, to): 0, 1, 2-3, 4-7, ...
struct PositionLoss {
  int64_t from = 0;
  int64_t to = 0;  // not included
  int64_t tokens = 0;
  double loss = 0;  // nats a token
  /// Of the text of these tokens; where the tokenizer cannot give the text back, or a token's bytes depend on its
  /// neighbours, empty.
  std::optional<double> bits_per_byte = {};
};

/// Everything an evaluation found. Sums are the facts, the rest derives from them (data spec 1.1).
struct EvaluationResult {
  double nats = 0;         // S, the sum over scored tokens of -log p, in f64
  int64_t tokens = 0;      // scored targets, each counted once
  int64_t bytes = 0;       // of the text these tokens stand for
  int64_t characters = 0;  // Unicode code points of it
  int64_t words = 0;
  int64_t documents = 0;  // with at least one target
  int64_t unscored = 0;   // first tokens of streams: nothing precedes them
  data::Fidelity fidelity = data::Fidelity::kExact;
  bool whole_text = true;  // the targets are the text, each token once; else figures per byte and word mean nothing
  std::optional<double> accuracy;   // share of the targets that were the likeliest
  std::optional<double> exact, f1;  // of answers, means over rows
  EvaluationProtocol protocol = EvaluationProtocol::kBlock;
  int64_t context = 0;
  int64_t stride = 0;
  std::vector<PositionLoss> by_position;  // by position of the target in its document
  int64_t memory = 0;                     // kMemory: tokens kept before a window
  std::vector<PositionLoss> by_context;   // by tokens the model could see when it predicted the target
  double seconds = 0;                     // wall time of the model's work

  double loss() const;        // nats a token: S / tokens
  double perplexity() const;  // a token: exp(loss)
  /// Empty when the tokenizer cannot give the text back, so that the figure would mean nothing.
  std::optional<double> word_perplexity() const;     // exp(S / words)
  std::optional<double> bits_per_byte() const;       // S / (ln 2 bytes)
  std::optional<double> bits_per_character() const;  // S / (ln 2 characters)
  double tokens_per_second() const;
};

/// Refuses a tokenizer of `ids` ids with a model of another vocabulary; a table that was asked to have more rows than ids serves.
/// throws ConfigError
void check_vocabulary(const models::Model& model, int64_t ids);

/// Scores every target of a split exactly once, whatever the protocol, stride or batch.
/// throws ConfigError: context or stride out of range, kMemory for a model without memory, a vocabulary of another
/// size; DataError: nothing to score
EvaluationResult evaluate(const models::LanguageModel& model, const std::shared_ptr<const data::TokenSource>& source,
                          const EvaluationRequest& request);

/// Scores every target of a split for whatever objective: causal ones by the protocol of the request, others sample by
/// sample, with choices (of hidden tokens) that are the same in every evaluation; request.context is then the
/// sequence_length, and protocol, stride and per_token do not apply. throws as above
EvaluationResult evaluate(const models::Model& model, const data::Objective& objective, const data::Split& split,
                          const EvaluationRequest& request);

/// The result as one JSON object: the fields of `longhaul eval --json`. Figures without meaning are null.
std::string to_json(const EvaluationResult& result);
/// The result as lines for a person.
std::string to_text(const EvaluationResult& result);

}  // namespace longhaul::train
