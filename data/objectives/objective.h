// defines: ObjectiveKind, Masking, TooLong, Sides, TargetKind, ObjectiveOptions, Answer, Split, SampleShape, Score,
// ObjectiveInfo, Objective, objectives, objective_info, make_objective, target_length_of
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/sampler/samples.h"
#include "data/tokenizers/extended.h"

namespace longhaul::data {

enum class ObjectiveKind { kCausal, kCompletion, kMasked, kSpanCorruption, kGapSentences, kSeq2Seq, kClassify, kQuestionAnswering };

/// What `masked` hides together.
enum class Masking { kToken, kWholeWord, kSpan };

/// What happens to a row of a table that does not fit its sequence.
enum class TooLong {
  kError,  // refused, with file and row
  kCut,    // its end is left out
};

/// The form of model an objective is for.
enum class Sides {
  kDecoder,         // each token predicts the next
  kEncoder,         // one sequence, seen from both sides
  kEncoderDecoder,  // a source is read, a target is written
};

/// What is predicted.
enum class TargetKind { kTokens, kClasses, kSpans };

struct ObjectiveOptions {
  ObjectiveKind kind = ObjectiveKind::kCausal;
  // masked, span_corruption
  Masking masking = Masking::kToken;
  double masked_share = 0.15;  // of the tokens
  double mean_span = 3;        // span_corruption: tokens of a span
  // gap_sentences
  double gap_share = 0.3;  // of the sentences
  // classify
  std::vector<std::string> labels = {};  // class k is labels[k]
  // completion, seq2seq, classify, question_answering
  TooLong too_long = TooLong::kError;
  // all with a decoder over a source
  int64_t target_length = 0;   // longest target with its end; 0 = see target_length_of
  int64_t sentinels = -1;      // ids for span_corruption; -1 = 100 for that objective, else none
  int32_t decoder_start = -1;  // id before a target; -1 = the tokenizer's begin id, else its pad id
  /// The special ids these options want.
  WantedIds wanted() const;
};

/// Tokens of the target side: the option, or what the objective gives for a source of that length; 0 without one.
int64_t target_length_of(const ObjectiveOptions& options, int64_t sequence_length);

/// An answer in its context.
struct Answer {
  int64_t first = 0, last = 0;  // tokens of the context
  std::string text;
};

/// The texts of a split as its objective reads them: one column for running text, text to classify; two in step for source
/// and target, question and context.
struct Split {
  std::string name = {};  // "train", "valid"
  std::vector<std::shared_ptr<const TokenSource>> columns = {};
  std::vector<int32_t> labels = {};   // classify, [rows]
  std::vector<Answer> answers = {};   // question_answering, [rows]
  /// The input files in order.
  const std::vector<FileMark>& files() const { return columns[0]->files(); }
  /// Names the content in a checkpoint.
  std::string hash_hex() const;
};

/// How a split is cut into samples.
struct SampleShape {
  int64_t sequence_length = 0;
  bool cross_documents = true;  // running text: a sample may hold the end of one document and the start of the next
  uint64_t seed = 0;            // of all random choices
};

/// What the rows of a split were found to be worth.
struct Score {
  double nats = 0;      // sum over targets of -log p
  int64_t targets = 0;  // each counted once
  int64_t rows = 0;
  // Sums over targets and over rows; counted where the objective has such an answer.
  std::optional<double> right;      // targets that were the likeliest
  std::optional<double> exact, f1;  // answers, as in Rajpurkar et al. 2016, section 6.1
};

class Objective;

/// What an objective is, before any data. Each stands in a file of its own; objectives() lists them.
struct ObjectiveInfo {
  ObjectiveKind kind = ObjectiveKind::kCausal;
  std::string name;     // as in data.objective
  std::string summary;  // one line for help
  Sides sides = Sides::kDecoder;
  TargetKind target = TargetKind::kTokens;
  WantedIds ids;         // special ids its rows need
  bool table = false;    // reads rows of .tsv or .jsonl, not running text
  bool pairs = false;    // of two columns, source and target
  int64_t shortest = 1;  // sequence_length with room for a token beside the marks of a row
  /// Tokens of the target side for a source of so many, where the option says 0; empty without a target side.
  std::function<int64_t(const ObjectiveOptions&, int64_t sequence_length)> target_length = {};
  /// Tokens of a row that are scored at most; empty: all of its target side.
  std::function<int64_t(const ObjectiveOptions&, int64_t sequence_length)> most_scored = {};
  std::function<std::unique_ptr<Objective>(const ObjectiveOptions&, std::shared_ptr<const ExtendedTokenizer>)> make = {};
};

/// All objectives, in the order help shows them.
const std::vector<ObjectiveInfo>& objectives();
const ObjectiveInfo& objective_info(ObjectiveKind kind);

/// What a model learns: what it reads of a split, what rows it makes of it, and with which ids.
class Objective {
 public:
  Objective(ObjectiveOptions options, std::shared_ptr<const ExtendedTokenizer> tokenizer)
      : options_(std::move(options)), tokenizer_(std::move(tokenizer)) {}
  virtual ~Objective() = default;
  const ObjectiveInfo& info() const { return objective_info(options_.kind); }
  const ObjectiveOptions& options() const { return options_; }
  /// With every id that rows hold; its size is the model's vocabulary.
  const ExtendedTokenizer& tokenizer() const { return *tokenizer_; }
  /// The id before a target.
  int32_t start_of_target() const;
  int64_t classes() const { return static_cast<int64_t>(options_.labels.size()); }

  /// Opens the texts of a split, checking every row. `name` ("train", "valid", "test") stands in messages. throws DataError
  virtual Split open(const std::string& name, const std::vector<DataEntry>& entries, const DatasetOptions& options) const;
  /// throws DataError when the split is too short for one sample
  virtual std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const = 0;

  /// What score() reads: the losses of the targets, or what the model's head gives.
  enum class Judged { kLosses, kOutputs };
  virtual Judged judged() const { return Judged::kLosses; }
  /// Adds the rows of a batch of evaluation samples. `found`: -log p of each target (f32, 0 where not scored), or by
  /// judged() the logits [B, C] of classes, [B, N, 2] of spans. `best`: the likeliest token of each target (i32), beside
  /// losses only; undefined where the model does not tell.
  virtual void score(const Split& split, const Batch& batch, const Tensor& found, const Tensor& best, Score& into) const;

 protected:
  /// One column of a table; a row without a token in it is refused.
  Split open_column(const std::string& name, const std::vector<DataEntry>& entries, DatasetOptions options) const;
  /// The columns source and target of a table.
  Split open_pairs(const std::string& name, const std::vector<DataEntry>& entries, const DatasetOptions& options) const;
  ObjectiveOptions options_;
  std::shared_ptr<const ExtendedTokenizer> tokenizer_;
};

/// `tokenizer`: as it was loaded or trained.
std::unique_ptr<Objective> make_objective(const ObjectiveOptions& options, std::shared_ptr<const Tokenizer> tokenizer);

}  // namespace longhaul::data
