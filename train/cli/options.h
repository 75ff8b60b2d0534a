// defines: the options of every command, as its parser fills them
//
// Defaults here are the defaults of the flags; help reads them. Paths are as the user gave them, relative to the
// working directory. A body checks nothing a parser has checked: ranges and names are already right.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/corpus/entry.h"
#include "data/tokenizers/tokenizer.h"

namespace longhaul::cli {

/// Where to compute; shared by the commands that run a model without a configuration of their own.
struct DeviceOptions {
  std::string device = "auto";  // auto | cpu | cuda | cuda:K | reference
  int threads = 0;              // 0 = cores of this process's affinity mask
};

/// Texts given on the command line.
struct TextOptions {
  std::vector<std::string> paths;  // files, folders or globs
  PercentRange part;               // of each file
  data::DocumentMode document = data::DocumentMode::kFile;
  std::string text;  // column of .tsv and .jsonl; empty: "text"

  std::vector<data::DataEntry> entries() const;
};

/// longhaul train CONFIG
struct TrainOptions {
  std::string config;
  std::vector<std::string> set;  // "key=value", in order
  std::string run;               // run folder; empty: runs/<run.name>
  std::string init_from;         // MODEL; empty: run.init_from
  bool fresh = false;            // refuse to continue an existing run
  bool strict = false;           // resume from the newest checkpoint or not at all
  bool dry_run = false;
  int64_t profile = 0;  // steps to profile; 0 = no profile
  bool json = false;
};

enum class Protocol { kAuto, kBlock, kSliding, kStrided, kMemory };

/// longhaul eval MODEL --data PATH...
struct EvalOptions {
  std::string model;
  std::vector<std::string> set;  // keys of the model's configuration
  TextOptions data;
  Protocol protocol = Protocol::kAuto;  // kAuto: block; memory for recurrent families
  int64_t context = 0;                  // tokens; 0 = the model's sequence length
  int64_t stride = 0;                   // tokens; 0 = what the protocol says
  int64_t memory = 0;                   // tokens kept before a window; 0 = as the model's configuration says
  int64_t slots = 0;                    // of a compressed memory, likewise
  bool cross_documents = false;         // one stream over all documents
  int64_t batch = 0;                    // windows at once; 0 = what fits
  std::string per_token;                // file of one line a token; empty: none
  std::string plot;                     // SVG of loss by position; empty: none
  bool recl = false;                    // the relative effective context length instead of the figures
  std::vector<std::string> recl_against;  // the other models of its group
  int64_t recl_step = 100;              // tokens by which its context grows
  DeviceOptions device;
  bool json = false;
};

/// longhaul generate MODEL
struct GenerateOptions {
  std::string model;
  std::string prompt;
  std::string prompt_file;   // "-" = standard input; empty: use prompt
  int64_t max_new = 200;     // tokens
  double temperature = 1.0;  // 0 = greedy
  int64_t top_k = 0;         // 0 = off
  double top_p = 1.0;        // 1 = off
  int64_t beams = 1;         // above 1: beam search, which draws nothing
  std::string state;         // file of a recurrent model's memory, read where it is there and written; empty: none
  int64_t seed = 1;
  DeviceOptions device;
  bool json = false;
};

/// longhaul tokenizer train|encode|decode|info
struct TokenizerOptions {
  enum class Action { kTrain, kEncode, kDecode, kInfo };
  Action action = Action::kInfo;
  // train
  TextOptions data;
  data::TokenizerOptions make;  // path unused
  std::string out;              // folder to write
  // encode, decode, info
  std::string path;              // a tokenizer's file or folder, or a MODEL
  std::string text;              // encode
  std::vector<std::string> ids;  // decode: each one id, or several separated by blanks
  std::string file;              // read that instead; "-" = standard input; empty: use text or ids
  bool json = false;
};

/// longhaul data prepare|info
struct DataOptions {
  enum class Action { kPrepare, kInfo };
  Action action = Action::kInfo;
  TextOptions data;
  data::TokenizerOptions tokenizer;  // without a path: bytes
  bool any_kind = true;              // whatever the path holds; false: it must be of tokenizer.kind
  data::InvalidUtf8 invalid_utf8 = data::InvalidUtf8::kAuto;
  std::string out;  // prepare: the .shard file to write
  bool json = false;
};

/// longhaul config show|check|explain|schema
struct ConfigOptions {
  enum class Action { kShow, kCheck, kExplain, kSchema };
  Action action = Action::kShow;
  std::string config;
  std::vector<std::string> set;
  bool origin = false;  // show: where each value came from
  bool data = false;    // check: open the files too
  std::string key;      // explain; empty: all keys, as a reference page
  bool json = false;
};

/// longhaul replay RUN
struct ReplayOptions {
  std::string run;   // run folder
  int64_t step = 0;  // 0 = the last one
  bool json = false;
};

/// longhaul plan CONFIG
struct PlanOptions {
  std::string config;
  std::vector<std::string> set;
  bool json = false;
};

/// longhaul pattern CONFIG|MODEL|SYSTEM
struct PatternOptions {
  std::string system;  // a configuration file, a trained model, or the name of a family
  std::vector<std::string> set;
  int64_t length = 0;  // tokens
  std::string out;     // .svg or .txt; empty: text on standard output
  std::string text;    // a file to measure a trained model on; empty: nothing is measured
  bool json = false;
};

/// longhaul parity DIR...
struct ParityOptions {
  std::vector<std::string> folders;
  std::string device = "cpu";
  int threads = 0;
  std::string write;  // folder for computed.safetensors of each case; empty: none
  bool json = false;
};

/// longhaul check
struct CheckOptions {
  DeviceOptions device;
  bool json = false;
};

/// longhaul bench attention|step|generate
struct BenchOptions {
  enum class Action { kAttention, kStep, kGenerate };
  Action action = Action::kAttention;
  // attention
  std::string pattern = "causal";
  int64_t length = 4096;
  int64_t batch = 1;
  int64_t heads = 8;
  int64_t head_dim = 64;
  std::string dtype = "f32";  // f32 | bf16
  // step: a configuration; generate: a MODEL or a configuration
  std::string target;
  std::vector<std::string> set;
  int64_t steps = 5;       // step: timed steps after the warm-up
  int64_t context = 1024;  // generate: tokens of the prompt
  int64_t fresh = 128;     // generate: tokens to make (--new)
  int64_t repeats = 7;     // attention: timed runs
  DeviceOptions device;
  bool json = false;
};

/// longhaul import HF_DIR OUT
struct ImportOptions {
  std::string source, out;
  int64_t positions = 0;  // 0: as they are
  bool json = false;
};

/// longhaul export MODEL OUT
struct ExportOptions {
  std::string model, out;
  bool json = false;
};

/// longhaul checkpoint list|verify|diff|prune RUN
struct CheckpointOptions {
  enum class Action { kList, kVerify, kDiff, kPrune };
  Action action = Action::kList;
  std::string run;    // a run folder; verify and diff also take one checkpoint or model folder
  std::string other;  // diff: the second one; empty: the two newest checkpoints of the run
  int64_t keep = 2;   // prune: newest ones that stay
  bool dry_run = false;
  bool json = false;
};

}  // namespace longhaul::cli
