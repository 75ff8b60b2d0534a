#include "train/config/schema.h"

namespace longhaul::config {
namespace {

constexpr FieldTraits kMayChange{.resume = Resume::kMayChange};

void run_fields(FieldVisitor& v, RunConfig& o) {
  v.text("name", o.name, {.resume = Resume::kHarmless, .default_text = "the file's name"},
         "the run folder is runs/<name> unless --run says otherwise");
  v.integer("seed", o.seed, {.min = 0}, "of initial weights, sample order, dropout and every other random choice");
  v.text("device", o.device, {.may_be_empty = false, .resume = Resume::kHarmless},
         "auto, cpu, cuda, cuda:K, or reference (plain loops: slow, for comparison)");
  v.choice("precision", o.precision, {{"f32", Precision::kF32}, {"bf16", Precision::kBF16}, {"f16", Precision::kF16}},
           {}, "of activations and products; parameters, optimizer and statistics stay f32");
  v.integer("threads", o.threads, {.min = 0, .max = 4096, .resume = Resume::kHarmless, .default_text = "all cores"},
            "0 = cores in this process's affinity mask / ranks on this host");
  v.choice("determinism", o.determinism,
           {{"off", Determinism::kOff}, {"run", Determinism::kRun}, {"strict", Determinism::kStrict}}, kMayChange,
           "run: same bits for the same ranks; strict: same bits for any number of ranks");
  v.integer("hash_every", o.hash_every, {.min = 0, .unit = "steps", .resume = Resume::kMayChange},
            "steps between state hashes in journal.jsonl; 0 = never");
  v.text("init_from", o.init_from, {.path = true},
         "a run, checkpoint or model folder whose weights a new run starts from (fresh optimizer, step 0)");
}

void entry_fields(FieldVisitor& v, data::DataEntry& o) {
  using data::DocumentMode;
  v.text("path", o.path, {.path = true, .may_be_empty = false}, "a file, folder or glob; .gz and .zst are opened");
  v.percent_range("part", o.part, {}, "bytes of each file that belong to this entry, e.g. 0%..90%");
  v.choice(
      "document", o.document,
      {{"file", DocumentMode::kFile}, {"line", DocumentMode::kLine}, {"blank_line", DocumentMode::kBlankLine}}, {},
      "what a document is: the file, each line, or what blank lines separate; rows of .tsv and .jsonl always are one");
  v.text("text", o.text, {.default_text = "text"}, "column of .tsv and .jsonl that holds the text");
  v.text("label", o.label, {.default_text = "label"}, "column of the class");
  v.text("source", o.source, {.default_text = "source"}, "column of the input text of a pair");
  v.text("target", o.target, {.default_text = "target"}, "column of the output text of a pair");
}

void tokenizer_fields(FieldVisitor& v, data::TokenizerOptions& o) {
  using data::SentencePieceModel;
  using data::TokenizerKind;
  v.choice("kind", o.kind,
           {{"byte", TokenizerKind::kByte},
            {"char", TokenizerKind::kChar},
            {"word", TokenizerKind::kWord},
            {"bpe", TokenizerKind::kBpe},
            {"sentencepiece", TokenizerKind::kSentencePiece}},
           {}, "byte needs no file; the others load `path`, or are trained on data.train");
  v.text("path", o.path, {.path = true}, "file or folder of an existing tokenizer");
  v.count("vocab_size", o.vocabulary_size, {.min = 0, .max = 10000000, .unit = "ids"},
          "of a tokenizer to train; char and word: the most frequent ones, 0 = all");
  v.integer("offset", o.offset, {.min = 0, .max = 1000, .unit = "ids"}, "byte: id of byte 0");
  v.boolean("unknown", o.unknown, {}, "char: an id for characters outside the vocabulary instead of refusing them");
  v.choice("model_type", o.model, {{"unigram", SentencePieceModel::kUnigram}, {"bpe", SentencePieceModel::kBpe}}, {},
           "sentencepiece, when trained");
  v.number("character_coverage", o.character_coverage, {.min = 0, .max = 1, .above_min = true},
           "sentencepiece, when trained: share of characters with an own piece; the rest becomes bytes");
}

void objective_fields(FieldVisitor& v, data::ObjectiveOptions& o) {
  using data::Masking;
  using data::TooLong;
  std::vector<std::pair<std::string_view, data::ObjectiveKind>> kinds;
  for (const data::ObjectiveInfo& info : data::objectives()) kinds.emplace_back(info.name, info.kind);
  v.choice("objective", o.kind, kinds, {}, "what the model learns to predict");
  v.choice("masking", o.masking,
           {{"token", Masking::kToken}, {"whole_word", Masking::kWholeWord}, {"span", Masking::kSpan}}, {},
           "masked: what is hidden together");
  v.number("masked_share", o.masked_share, {.min = 0, .max = 1, .above_min = true, .below_max = true},
           "masked, span_corruption: share of the tokens that is hidden");
  v.number("mean_span", o.mean_span, {.min = 1}, "span_corruption: mean length of a hidden span, in tokens");
  v.number("gap_share", o.gap_share, {.min = 0, .max = 1, .above_min = true},
           "gap_sentences: share of the sentences that is taken out");
  v.integer("target_length", o.target_length, {.min = 0, .unit = "tokens", .default_text = "by the objective"},
            "longest target of an encoder_decoder, its end included; 0 = seq2seq: sequence_length, gap_sentences: half of "
            "it, span_corruption: what its spans give");
  v.integer("sentinels", o.sentinels, {.min = 0, .max = 10000, .unit = "ids", .automatic = -1},
            "ids that mark hidden spans; auto = 100 for span_corruption, else 0; give the same number to train such a model "
            "on another objective");
  v.list("labels", o.labels, {.may_be_empty = false}, {},
         "classify: the classes in the order of their ids; left out: all of data.train in order");
  v.choice("too_long", o.too_long, {{"error", TooLong::kError}, {"cut", TooLong::kCut}}, {},
           "rows that do not fit sequence_length (or target_length): refused, or cut at the end");
}

void data_fields(FieldVisitor& v, DataConfig& o) {
  using data::InvalidUtf8;
  using data::WordCount;
  const SectionTraits entry{.shorthand = "path"};
  const SectionTraits again{.same_as = "data.train", .shorthand = "path"};
  v.records("train", o.train, entry, entry_fields, "texts to train on");
  v.records("valid", o.valid, again, entry_fields, "texts for the evaluations during training");
  v.records("test", o.test, again, entry_fields, "texts for one evaluation when the run ends");
  v.section("tokenizer", {}, "how text becomes ids", [&](FieldVisitor& in) { tokenizer_fields(in, o.tokenizer); });
  objective_fields(v, o.objective);
  v.integer("sequence_length", o.sequence_length, {.min = 1, .max = int64_t{1} << 40, .unit = "tokens"},
            "tokens of a training sequence; any number is legal");
  v.boolean("cross_documents", o.cross_documents, {},
            "a sequence may hold the end of one document and the start of the next");
  v.boolean("shuffle", o.shuffle, {}, "visit the sequences of each epoch in a random order fixed by run.seed");
  v.choice("invalid_utf8", o.corpus.invalid_utf8,
           {{"auto", InvalidUtf8::kAuto},
            {"error", InvalidUtf8::kError},
            {"replace", InvalidUtf8::kReplace},
            {"keep", InvalidUtf8::kKeep}},
           {}, "bytes that are no UTF-8; auto keeps them for byte-level tokenizers and refuses them for others");
  v.choice("word_count", o.corpus.words,
           {{"auto", WordCount::kAuto}, {"words", WordCount::kWords}, {"words_and_lines", WordCount::kWordsAndLines}},
           {}, "what word figures count; auto adds one for each line with the word tokenizer");
  v.text("cache", o.cache, {.path = true, .resume = Resume::kHarmless, .default_text = "$LONGHAUL_CACHE"},
         "folder of prepared token shards; else $LONGHAUL_CACHE, $XDG_CACHE_HOME/longhaul or ~/.cache/longhaul");
}

void model_fields(FieldVisitor& v, ModelConfig& o) {
  std::vector<std::pair<std::string_view, std::string>> names;
  for (const models::FamilyInfo& family : models::families()) names.emplace_back(family.name, family.name);
  v.choice("family", o.family, names, {.discriminates = true}, "the model's attention; its own keys follow");
  const models::FamilyInfo& family = *models::find_family(o.family);
  // A family's options are its own type, so a change of the family starts from that family's defaults.
  if (!o.options || o.options_family != o.family) {
    o.options = family.make();
    o.options_family = o.family;
  }
  family.fields(v, *o.options);
}

void memory_fields(FieldVisitor& v, MemoryConfig& o) {
  v.bytes("budget", o.budget, {.min = 1, .automatic = MemoryConfig::kAutoBudget},
          "memory the run may use; auto = what is available when it is created");
  v.boolean(
      "reversible", o.reversible, {.resume = Resume::kFixed, .default_text = "false; reformer: true"},
      "CHANGES THE MODEL: two streams whose inputs are rebuilt in the backward; activations do not grow with depth");
  v.choice("reversible_backward", o.reversible_backward,
           {{"rebuild", ReversibleBackward::kRebuild}, {"stored", ReversibleBackward::kStored}}, {},
           "how gradients of a reversible model are computed; stored keeps all activations");
  v.choice("recompute", o.recompute,
           {{"none", Recompute::kNone}, {"layer", Recompute::kLayer}, {"attention", Recompute::kAttention}}, {},
           "what is computed again in the backward instead of kept");
  v.integer("chunk_feedforward", o.chunk_feedforward, {.min = 0, .unit = "rows"},
            "rows of a feed-forward chunk; 0 = off");
  v.integer("chunk_loss", o.chunk_loss, {.min = 0, .unit = "rows", .automatic = MemoryConfig::kAutoRows},
            "rows of a chunk of logits and loss; 0 = off");
}

void optimizer_fields(FieldVisitor& v, OptimizerConfig& o) {
  v.choice("kind", o.kind,
           {{"adamw", OptimizerKind::kAdamW},
            {"adam", OptimizerKind::kAdam},
            {"adafactor", OptimizerKind::kAdafactor},
            {"sgd", OptimizerKind::kSgd}},
           {.resume = Resume::kFixed}, "adam differs from adamw in adding weight decay to the gradient");
  v.number("learning_rate", o.learning_rate, {.min = 0, .above_min = true}, "peak; the schedule scales it");
  v.number("weight_decay", o.weight_decay, {.min = 0}, "adamw, adafactor: decoupled; adam, sgd: added to the gradient");
  v.list("betas", o.betas, {.min = 0, .max = 1, .below_max = true}, {.min_size = 2, .max_size = 2},
         "adamw, adam: decay of the first and second moment");
  v.number("eps", o.eps, {.min = 0, .above_min = true}, "adamw, adam: added to the root of the second moment");
  v.list("no_decay", o.no_decay, {.may_be_empty = false}, {},
         "parameters without weight decay, by name; * matches any text");
  v.number("momentum", o.momentum, {.min = 0, .max = 1, .below_max = true}, "sgd");
  v.boolean("nesterov", o.nesterov, {}, "sgd: look ahead along the momentum");
  v.number("beta1", o.beta1, {.min = 0, .max = 1, .below_max = true, .resume = Resume::kFixed},
           "adafactor: decay of a first moment; 0 = none");
  v.number("decay_rate", o.decay_rate, {.min = 0, .max = 1, .above_min = true},
           "adafactor: the second moment decays by 1 - t^-decay_rate");
  v.number("clip_threshold", o.clip_threshold, {.min = 0, .above_min = true}, "adafactor: largest RMS of an update");
  v.boolean("scale_parameter", o.scale_parameter, {}, "adafactor: steps are relative to the RMS of the parameter");
  v.boolean("relative_step", o.relative_step, {},
            "adafactor: learning rate 1/sqrt(t), at most 0.01, instead of learning_rate");
  v.boolean("warmup_init", o.warmup_init, {}, "adafactor, with relative_step: at most 1e-6 t");
}

void schedule_fields(FieldVisitor& v, ScheduleConfig& o) {
  v.choice("kind", o.kind,
           {{"constant", ScheduleKind::kConstant},
            {"linear", ScheduleKind::kLinear},
            {"cosine", ScheduleKind::kCosine},
            {"inverse_sqrt", ScheduleKind::kInverseSqrt},
            {"wsd", ScheduleKind::kWsd}},
           {}, "of the learning rate after the warm-up; wsd is constant, then decays over its last part");
  v.period("warmup", o.warmup, {}, "linear rise from 0 to the peak; 0 = none");
  v.number("final", o.final, {.min = 0, .max = 1},
           "linear, cosine, wsd: share of the peak that is left at the horizon");
  v.period("horizon", o.horizon, {.default_text = "train.steps, else train.tokens"},
           "where linear, cosine and wsd end; 0 = train.steps, else train.tokens");
  v.number("decay", o.decay, {.min = 0, .max = 1, .above_min = true}, "wsd: last share of the horizon that decays");
}

void stage_fields(FieldVisitor& v, StageConfig& o, const ModelConfig& model) {
  v.integer("steps", o.steps, {.min = 1, .default_text = "required"}, "length of the stage");
  v.number("learning_rate", o.learning_rate, {.min = 0, .default_text = "as in train"},
           "peak; 0 = train.optimizer.learning_rate");
  v.integer("sequence_length", o.sequence_length, {.min = 0, .unit = "tokens", .default_text = "as in data"},
            "0 = data.sequence_length");
  v.integer("batch_size", o.batch_size, {.min = 0, .max = int64_t{1} << 24, .unit = "sequences", .default_text = "as in train"},
            "0 = train.batch_size");
  const models::FamilyInfo& family = *models::find_family(model.family);
  if (!o.model) o.model = family.copy(*model.options);
  v.section("model", {.same_as = "model"},
            "keys that differ from `model` in this stage, such as the window; shapes of weights may not",
            [&](FieldVisitor& in) { family.fields(in, *o.model); });
}

void train_fields(FieldVisitor& v, TrainConfig& o, const ModelConfig& model) {
  v.integer("steps", o.steps, {.min = 0, .resume = Resume::kMayChange}, "optimizer steps of the run; 0 = no limit");
  v.count("tokens", o.tokens, {.min = 0, .unit = "tokens", .resume = Resume::kMayChange},
          "tokens of the run; 0 = no limit");
  v.duration("time", o.time, kMayChange, "training time of the run; 0 = no limit");
  v.integer("batch_size", o.batch_size, {.min = 1, .max = int64_t{1} << 24, .unit = "sequences"},
            "sequences per optimizer step, over all ranks");
  v.integer("micro_batch", o.micro_batch, {.min = 0, .unit = "sequences", .resume = Resume::kMayChange},
            "sequences per forward on one rank; 0 = what fits memory.budget, decided once when the run is created");
  v.section("optimizer", {.resume = Resume::kMayChange}, "how gradients move the parameters",
            [&](FieldVisitor& in) { optimizer_fields(in, o.optimizer); });
  v.section("schedule", {.resume = Resume::kMayChange}, "of the learning rate",
            [&](FieldVisitor& in) { schedule_fields(in, o.schedule); });
  v.number("clip_norm", o.clip_norm, {.min = 0, .resume = Resume::kMayChange},
           "largest norm of the whole gradient; 0 = off");
  v.section("accumulate", {}, "fewer updates: steps of several batches, one after the other with the same weights", [&](FieldVisitor& in) {
    in.integer("batches", o.accumulate.batches, {.min = 1, .max = 65535, .unit = "batches"}, "whose mean gradient moves the weights once; 1 = off");
    in.integer("after", o.accumulate.after, {.min = 0, .unit = "steps"}, "of one batch before that; 0 = from the first step on");
  });
  v.section("ema", {}, "moving average of the parameters, used for evaluation", [&](FieldVisitor& in) {
    in.number("decay", o.ema.decay, {.min = 0, .max = 1, .below_max = true}, "e.g. 0.999; 0 = off");
  });
  v.number("label_smoothing", o.label_smoothing, {.min = 0, .max = 1, .below_max = true},
           "share of the target spread over all classes; reported losses are without it");
  v.integer("max_bad_steps", o.max_bad_steps, {.min = 1, .unit = "steps", .resume = Resume::kMayChange},
            "steps in a row with a non-finite gradient or loss that end the run (exit 5); each one is skipped");
  v.list("freeze", o.freeze, {.may_be_empty = false}, {},
         "parameters that are not trained, by name; * matches any text");
  v.records(
      "stages", o.stages, {}, [&model](FieldVisitor& in, StageConfig& stage) { stage_fields(in, stage, model); },
      "training in stages, one run: each states what differs from the rest of the file and restarts the schedule");
  v.period("log_every", o.log_every, kMayChange, "between lines of metrics.jsonl and the progress line");
  v.period("eval_every", o.eval_every, kMayChange, "between evaluations on data.valid; 0 = only at the end");
  v.section("checkpoint", {.resume = Resume::kMayChange}, "what is saved", [&](FieldVisitor& in) {
    in.period("every", o.checkpoint.every, {}, "between checkpoints; 0 = only at the end and on a signal");
    in.integer("keep", o.checkpoint.keep, {.min = 1, .max = 2'000'000'000, .unit = "checkpoints"}, "newest ones that stay");
    in.boolean("best", o.checkpoint.best, {}, "also keep the one with the lowest validation loss");
  });
}

}  // namespace

void fields(FieldVisitor& v, Config& config) {
  v.section("run", {.resume = Resume::kFixed}, "the run as a whole",
            [&](FieldVisitor& in) { run_fields(in, config.run); });
  v.section("data", {.resume = Resume::kFixed}, "texts, tokenizer and objective",
            [&](FieldVisitor& in) { data_fields(in, config.data); });
  v.section("model", {.resume = Resume::kFixed}, "the family and its sizes",
            [&](FieldVisitor& in) { model_fields(in, config.model); });
  v.section("memory", {.resume = Resume::kHarmless}, "what is kept and what is computed again",
            [&](FieldVisitor& in) { memory_fields(in, config.memory); });
  v.section("train", {.resume = Resume::kFixed}, "the optimisation",
            [&](FieldVisitor& in) { train_fields(in, config.train, config.model); });
}

}  // namespace longhaul::config
