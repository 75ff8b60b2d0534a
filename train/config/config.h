// defines: Config and the structs of its sections: run, data, model, memory, train
//
// Plain values, filled by train/config/load.h; the keys that fill them are declared in train/config/schema.cpp.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/corpus/entry.h"
#include "data/objectives/objective.h"
#include "data/tokenizers/tokenizer.h"
#include "framework/base/units.h"
#include "models/registry.h"

namespace longhaul::config {

enum class Precision { kF32, kBF16, kF16 };
enum class Determinism { kOff, kRun, kStrict };

struct RunConfig {
  std::string name;  // resolved: the file's stem when left out
  int64_t seed = 1;
  std::string device = "auto";  // auto | cpu | cuda | cuda:K | reference
  Precision precision = Precision::kF32;
  int threads = 0;  // 0 = cores of the affinity mask / ranks on this host
  Determinism determinism = Determinism::kRun;
  int64_t hash_every = 100;  // steps between state hashes in the journal; 0 = never
  std::string init_from;     // MODEL whose weights a new run starts from; empty: none
};

struct DataConfig {
  std::vector<data::DataEntry> train, valid, test;
  data::TokenizerOptions tokenizer;  // path absolute
  data::ObjectiveOptions objective;
  int64_t sequence_length = 1024;
  bool cross_documents = true;  // a sequence may hold the end of one document and the start of the next
  bool shuffle = true;
  data::CorpusOptions corpus;
  std::string cache;  // absolute folder of token shards; empty: the user's cache folder, see data::DatasetOptions
};

struct ModelConfig {
  std::string family = "transformer";
  std::shared_ptr<models::FamilyOptions> options;  // of that family; never null in a loaded configuration
  std::string options_family;                      // the family `options` belongs to
};

enum class ReversibleBackward { kRebuild, kStored };
enum class Recompute { kNone, kLayer, kAttention };

struct MemoryConfig {
  static constexpr int64_t kAutoBudget = 0;
  static constexpr int64_t kAutoRows = -1;

  int64_t budget = kAutoBudget;  // bytes
  bool reversible = false;
  ReversibleBackward reversible_backward = ReversibleBackward::kRebuild;
  Recompute recompute = Recompute::kNone;
  int64_t chunk_feedforward = 0;   // rows; 0 = off
  int64_t chunk_loss = kAutoRows;  // rows; 0 = off
};

enum class OptimizerKind { kAdamW, kAdam, kAdafactor, kSgd };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double learning_rate = 3e-4;
  double weight_decay = 0;  // adamw, adafactor: decoupled; adam, sgd: added to the gradient
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-8;
  std::vector<std::string> no_decay = {"*bias", "*norm*", "*embedding*"};  // name patterns without weight decay
  double momentum = 0.9;                                                   // sgd
  bool nesterov = false;                                                   // sgd
  double beta1 = 0;                                                        // adafactor: first moment, 0 = none
  double decay_rate = 0.8;                                                 // adafactor: beta2_t = 1 - t^-decay_rate
  double clip_threshold = 1.0;                                             // adafactor
  bool scale_parameter = true;                                             // adafactor
  bool relative_step = false;                                              // adafactor
  bool warmup_init = false;                                                // adafactor, with relative_step
};

enum class ScheduleKind { kConstant, kLinear, kCosine, kInverseSqrt, kWsd };

struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::kConstant;
  Period warmup;       // 0 = none
  double final = 0;    // learning rate at the horizon, as a share of the peak
  Period horizon;      // 0: train.steps, else train.tokens
  double decay = 0.2;  // wsd: last share of the horizon that decays
};

/// Fewer updates late in training (Rae et al. 2019, section 4.3.2): so many batches a step from then on.
struct AccumulateConfig {
  int64_t batches = 1;
  int64_t after = 0;  // steps of one batch before
};

struct EmaConfig {
  double decay = 0;  // 0 = off
};

struct CheckpointConfig {
  Period every{1000};
  int64_t keep = 2;
  bool best = true;
};

/// A stage states what differs from the rest of the configuration; 0 stands for the value there.
struct StageConfig {
  int64_t steps = 0;
  double learning_rate = 0;
  int64_t sequence_length = 0;
  int64_t batch_size = 0;
  std::shared_ptr<models::FamilyOptions> model;  // the whole options object of this stage; never null once loaded
};

struct TrainConfig {
  int64_t steps = 0;   // 0 = no limit
  int64_t tokens = 0;  // 0 = no limit
  double time = 0;     // seconds; 0 = no limit
  int64_t batch_size = 8;
  int64_t micro_batch = 0;  // 0 = what fits memory.budget
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  double clip_norm = 1.0;  // 0 = off
  AccumulateConfig accumulate;
  EmaConfig ema;
  double label_smoothing = 0;
  int64_t max_bad_steps = 10;  // non-finite steps in a row that end the run
  std::vector<std::string> freeze;
  std::vector<StageConfig> stages;
  Period log_every{10};
  Period eval_every{200};
  CheckpointConfig checkpoint;
};

struct Config {
  RunConfig run;
  DataConfig data;
  ModelConfig model;
  MemoryConfig memory;
  TrainConfig train;
};

/// What a model's options may know of the rest; the form is the one the objective asks for.
models::ModelContext model_context(const Config& config);

}  // namespace longhaul::config
