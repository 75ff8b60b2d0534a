#include <fmt/format.h>

#include <algorithm>

#include "train/config/schema.h"

namespace longhaul::config {
namespace {

using models::Form;

class Findings {
 public:
  void add(std::string key, std::string what) { list.push_back({std::move(key), std::move(what), false, false}); }
  void given(std::string key, std::string what) { list.push_back({std::move(key), std::move(what), false, true}); }
  void missing(std::string key, std::string what) { list.push_back({std::move(key), std::move(what), true, false}); }
  std::vector<Finding> list;
};

Form form_of(const data::ObjectiveOptions& objective) {
  switch (data::objective_info(objective.kind).sides) {
    case data::Sides::kDecoder:
      return Form::kDecoder;
    case data::Sides::kEncoderDecoder:
      return Form::kEncoderDecoder;
    case data::Sides::kEncoder:
      break;
  }
  return Form::kEncoder;
}

bool known_device(const std::string& device) {
  for (const char* name : {"auto", "cpu", "cuda", "reference"}) {
    if (device == name) return true;
  }
  if (!device.starts_with("cuda:")) return false;
  const auto index = units::parse_integer(std::string_view(device).substr(5));
  return index && *index >= 0 && *index < 1024;
}

void check_run(const Config& config, Findings& found) {
  const RunConfig& run = config.run;
  if (!known_device(run.device)) found.add("run.device", "expected auto, cpu, cuda, cuda:K or reference");
  if (run.precision == Precision::kF16 && (run.device == "cpu" || run.device == "reference")) {
    found.add("run.precision", fmt::format("needs a GPU, but run.device = {}; use bf16 or f32", run.device));
  }
  if (run.precision != Precision::kF32 && run.device == "reference" && run.precision != Precision::kF16) {
    found.add("run.precision", "run.device = reference computes in f32 only");
  }
  if (run.name.find('/') != std::string::npos || run.name == "." || run.name == "..") {
    found.add("run.name", "is a name, not a path; `--run DIR` puts the run elsewhere");
  }
}

void check_objective(const Config& config, Findings& found) {
  using data::ObjectiveKind;
  const data::ObjectiveOptions& o = config.data.objective;
  const data::ObjectiveInfo& info = data::objective_info(o.kind);
  const data::ObjectiveOptions fresh;
  const auto only = [&](bool changed, const char* key, std::initializer_list<ObjectiveKind> kinds) {
    std::string names;
    for (const ObjectiveKind kind : kinds) {
      if (kind == o.kind) return;
      names += (names.empty() ? "" : ", ") + data::objective_info(kind).name;
    }
    if (changed) found.add(fmt::format("data.{}", key), fmt::format("is for data.objective = {} only", names));
  };
  only(o.masking != fresh.masking, "masking", {ObjectiveKind::kMasked});
  only(o.masked_share != fresh.masked_share, "masked_share", {ObjectiveKind::kMasked, ObjectiveKind::kSpanCorruption});
  only(o.mean_span != fresh.mean_span, "mean_span", {ObjectiveKind::kSpanCorruption});
  only(o.gap_share != fresh.gap_share, "gap_share", {ObjectiveKind::kGapSentences});
  only(!o.labels.empty(), "labels", {ObjectiveKind::kClassify});
  only(o.target_length != 0, "target_length",
       {ObjectiveKind::kSeq2Seq, ObjectiveKind::kGapSentences, ObjectiveKind::kSpanCorruption});
  only(o.too_long != fresh.too_long, "too_long",
       {ObjectiveKind::kCompletion, ObjectiveKind::kSeq2Seq, ObjectiveKind::kClassify, ObjectiveKind::kQuestionAnswering});
  only(o.sentinels > 0 && info.sides != data::Sides::kEncoderDecoder, "sentinels",
       {ObjectiveKind::kSpanCorruption, ObjectiveKind::kGapSentences, ObjectiveKind::kSeq2Seq});
  if (o.labels.size() == 1) found.add("data.labels", "names one class: there is nothing to tell apart");
  for (size_t i = 1; i < o.labels.size(); ++i) {
    if (std::find(o.labels.begin(), o.labels.begin() + static_cast<ptrdiff_t>(i), o.labels[i]) !=
        o.labels.begin() + static_cast<ptrdiff_t>(i)) {
      found.add("data.labels", fmt::format("names \"{}\" twice", o.labels[i]));
    }
  }
  const auto check_length = [&](const std::string& key, int64_t length) {
    if (length < info.shortest) {
      found.add(key, fmt::format("is too short for data.objective = {}, whose rows need {} tokens", info.name,
                                 info.shortest));
    }
  };
  check_length("data.sequence_length", config.data.sequence_length);
  for (size_t i = 0; i < config.train.stages.size(); ++i) {
    const int64_t length = config.train.stages[i].sequence_length;
    if (length > 0) check_length(fmt::format("train.stages[{}].sequence_length", i), length);
  }
  if (info.sides == data::Sides::kEncoderDecoder && o.target_length == 1) {
    found.add("data.target_length", "leaves no room for a token before the end");
  }
  if (info.table) {
    const auto check_shards = [&](const char* split, const std::vector<data::DataEntry>& entries) {
      for (const data::DataEntry& entry : entries) {
        if (!entry.path.ends_with(".shard")) continue;
        found.add(fmt::format("data.{}", split),
                  fmt::format("has a token shard, but data.objective = {} reads rows of .tsv or .jsonl", info.name));
      }
    };
    check_shards("train", config.data.train);
    check_shards("valid", config.data.valid);
  }
}

void check_data(const Config& config, Findings& found) {
  const DataConfig& data = config.data;
  if (data.train.empty()) {
    found.missing("data.train", "is missing: give at least one text to train on, e.g. data: {train: [corpus.txt]}");
  }
  check_objective(config, found);
  const data::TokenizerOptions& tokenizer = data.tokenizer;
  const bool trained_by_size =
      tokenizer.kind == data::TokenizerKind::kBpe || tokenizer.kind == data::TokenizerKind::kSentencePiece;
  if (trained_by_size && tokenizer.path.empty() && tokenizer.vocabulary_size == 0) {
    found.add("data.tokenizer.kind",
              "needs data.tokenizer.path (an existing one) or data.tokenizer.vocab_size (to train one)");
  }
  if (!tokenizer.path.empty() && tokenizer.vocabulary_size != 0) {
    found.add("data.tokenizer.vocab_size",
              "has no effect: data.tokenizer.path names an existing tokenizer; leave one out");
  }
  if (tokenizer.kind == data::TokenizerKind::kByte && tokenizer.vocabulary_size != 0) {
    found.add("data.tokenizer.vocab_size", "has no effect with data.tokenizer.kind = byte, which has 256 ids");
  }
  if (tokenizer.kind == data::TokenizerKind::kByte && !tokenizer.path.empty()) {
    found.add("data.tokenizer.path", "has no effect with data.tokenizer.kind = byte, which needs no file");
  }
  if (tokenizer.kind != data::TokenizerKind::kByte && tokenizer.offset != 0) {
    found.add("data.tokenizer.offset", "shifts the ids of data.tokenizer.kind = byte only");
  }
  if (tokenizer.kind != data::TokenizerKind::kChar && tokenizer.unknown) {
    found.add("data.tokenizer.unknown", "is for data.tokenizer.kind = char only");
  }
}

void check_optimizer(const OptimizerConfig& o, Findings& found) {
  const auto only = [&](bool changed, const char* key, const char* kind) {
    if (changed)
      found.add(fmt::format("train.optimizer.{}", key), fmt::format("is for train.optimizer.kind = {} only", kind));
  };
  const OptimizerConfig fresh;
  if (o.kind != OptimizerKind::kSgd) only(o.nesterov, "nesterov", "sgd");
  if (o.kind != OptimizerKind::kAdafactor) {
    only(o.relative_step, "relative_step", "adafactor");
    only(o.warmup_init, "warmup_init", "adafactor");
    only(o.beta1 != fresh.beta1, "beta1", "adafactor");
  } else if (o.warmup_init && !o.relative_step) {
    found.add("train.optimizer.warmup_init", "needs train.optimizer.relative_step = true");
  }
  if (o.kind == OptimizerKind::kSgd && o.nesterov && o.momentum == 0) {
    found.add("train.optimizer.nesterov", "needs train.optimizer.momentum above 0");
  }
}

void check_schedule(const Config& config, Findings& found) {
  const TrainConfig& train = config.train;
  const ScheduleConfig& schedule = train.schedule;
  const bool ends = train.steps > 0 || train.tokens > 0 || train.time > 0 || !train.stages.empty();
  if (!ends) {
    found.missing("train.steps", "is missing: say when the run ends with train.steps, train.tokens or train.time");
  }
  const bool falls = schedule.kind == ScheduleKind::kLinear || schedule.kind == ScheduleKind::kCosine ||
                     schedule.kind == ScheduleKind::kWsd;
  const bool has_horizon = train.steps > 0 || train.tokens > 0 || !schedule.horizon.off() || !train.stages.empty();
  if (falls && ends && !has_horizon) {
    found.add("train.schedule.kind", "needs a horizon: train.steps, train.tokens or train.schedule.horizon");
  }
  Period horizon = schedule.horizon;
  if (horizon.off() && train.steps > 0) horizon = {static_cast<double>(train.steps), Period::Unit::kStep};
  if (horizon.off() && train.tokens > 0) horizon = {static_cast<double>(train.tokens), Period::Unit::kToken};
  if (falls && !horizon.off() && !schedule.warmup.off() && schedule.warmup.unit == horizon.unit &&
      schedule.warmup.amount >= horizon.amount) {
    found.add("train.schedule.warmup",
              fmt::format("is not before the horizon of the schedule, {}", units::format_period(horizon)));
  }
}

// A weight's shape belongs to the run, not to a stage.
void check_stage_model(const Config& config, const StageConfig& stage, const std::string& prefix, Findings& found) {
  const models::BodyOptions &base = config.model.options->body, &now = stage.model->body;
  const auto fixed = [&](bool same, const char* key) {
    if (!same)
      found.given(fmt::format("{}.model.{}", prefix, key), "may not change between stages: it shapes the weights");
  };
  fixed(base.form == now.form, "form");
  fixed(base.dim == now.dim, "dim");
  fixed(base.layers == now.layers, "layers");
  fixed(base.heads == now.heads, "heads");
  fixed(base.kv_heads == now.kv_heads, "kv_heads");
  fixed(base.head_dim == now.head_dim, "head_dim");
  fixed(base.feedforward == now.feedforward, "feedforward");
  fixed(base.activation == now.activation, "activation");
  fixed(base.norm == now.norm, "norm");
  fixed(base.norm_kind == now.norm_kind, "norm_kind");
  fixed(base.positions == now.positions, "positions");
  fixed(base.axial_shape == now.axial_shape, "axial_shape");
  fixed(base.axial_widths == now.axial_widths, "axial_widths");
  fixed(base.max_positions == now.max_positions, "max_positions");
  fixed(base.tied_embeddings == now.tied_embeddings, "tied_embeddings");
  fixed(base.bias == now.bias, "bias");
  fixed(base.attention_bias == now.attention_bias, "attention_bias");
}

void check_model(const Config& config, Findings& found) {
  const models::FamilyInfo& family = *models::find_family(config.model.family);
  const models::ModelContext context = model_context(config);
  const Form form = config.model.options->body.form;
  if (form != context.form) {
    found.add("model.form", "does not fit data.objective; leave it at auto");
  } else if (form == Form::kEncoderDecoder && !family.build_sequence) {
    found.add("model.family", fmt::format("has no encoder_decoder form, which data.objective = {} needs",
                                          data::objective_info(config.data.objective.kind).name));
  }
  family.check(*config.model.options, context,
               [&](std::string_view key, const std::string& what) { found.add(fmt::format("model.{}", key), what); });
  for (size_t i = 0; i < config.train.stages.size(); ++i) {
    const StageConfig& stage = config.train.stages[i];
    const std::string prefix = fmt::format("train.stages[{}]", i);
    const size_t before = found.list.size();
    check_stage_model(config, stage, prefix, found);
    if (found.list.size() != before) continue;
    family.check(*stage.model, context, [&](std::string_view key, const std::string& what) {
      found.given(fmt::format("{}.model.{}", prefix, key), what);
    });
  }
}

// A stream belongs to a row of the batch, and its memory goes on from stage to stage.
void check_streams(const Config& config, Findings& found) {
  const models::FamilyInfo& family = *models::find_family(config.model.family);
  if (!family.streams) return;
  const models::StreamNeeds needs = family.streams(*config.model.options);
  if (!config.data.cross_documents) {
    found.add("data.cross_documents",
              fmt::format("has no effect: streams of model.family = {} run over all documents; model.memory.reset = "
                          "document keeps them apart",
                          config.model.family));
  }
  for (size_t i = 0; i < config.train.stages.size(); ++i) {
    const StageConfig& stage = config.train.stages[i];
    if (stage.batch_size > 0 && stage.batch_size != config.train.batch_size) {
      found.given(fmt::format("train.stages[{}].batch_size", i),
                  fmt::format("may not differ from train.batch_size = {}: each row of a batch has a memory",
                              config.train.batch_size));
    }
    const models::StreamNeeds now = family.streams(*stage.model);
    if (now != needs) {
      found.given(fmt::format("train.stages[{}].model.{}", i, now.function != needs.function ? "compression" : "memory"),
                  "may not change between stages: the memory goes on from one to the next");
    }
    if (stage.sequence_length % needs.rate != 0) {
      found.given(fmt::format("train.stages[{}].sequence_length", i),
                  fmt::format("is no multiple of model.memory.rate = {}", needs.rate));
    }
    if (needs.slots > 0 && stage.sequence_length > needs.memory) {
      found.given(fmt::format("train.stages[{}].sequence_length", i),
                  fmt::format("is more than model.memory.length = {}, which holds a segment whole", needs.memory));
    }
  }
}

void check_train(const Config& config, Findings& found) {
  const TrainConfig& train = config.train;
  if (train.micro_batch > train.batch_size) {
    found.add("train.micro_batch", fmt::format("is more than train.batch_size = {}", train.batch_size));
  }
  if (train.label_smoothing > 0 && data::objective_info(config.data.objective.kind).target == data::TargetKind::kSpans) {
    found.add("train.label_smoothing", "cannot be spread over positions: data.objective = question_answering");
  }
  check_optimizer(train.optimizer, found);
  check_schedule(config, found);
}

}  // namespace

models::ModelContext model_context(const Config& config) {
  models::ModelContext context;
  context.sequence_length = config.data.sequence_length;
  for (const StageConfig& stage : config.train.stages) {
    context.sequence_length = std::max(context.sequence_length, stage.sequence_length);
  }
  context.form = form_of(config.data.objective);
  context.target_length = data::target_length_of(config.data.objective, context.sequence_length);
  context.sequence_length = std::max(context.sequence_length, context.target_length);
  context.reversible = config.memory.reversible;
  return context;
}

void complete(Config& config, bool says_reversible) {
  const models::FamilyInfo& family = *models::find_family(config.model.family);
  if (!says_reversible) config.memory.reversible = family.reversible;
  const models::ModelContext context = model_context(config);
  family.resolve(*config.model.options, context);
  for (StageConfig& stage : config.train.stages) {
    // A stage's options start as a copy of the model's unresolved ones; the same rules then give the same values.
    family.resolve(*stage.model, context);
  }
}

std::vector<Finding> check_config(const Config& config) {
  Findings found;
  check_run(config, found);
  check_data(config, found);
  check_model(config, found);
  check_streams(config, found);
  check_train(config, found);
  return found.list;
}

}  // namespace longhaul::config
