// defines: the parser of every command
//
// Each adds its flags to a command of the program and binds them to the options of that command. The example is the
// line help ends with.
#pragma once
#include "train/cli/options.h"

namespace CLI {
class App;
}

namespace longhaul::cli {

void parse_train(CLI::App& app, TrainOptions& options);
void parse_eval(CLI::App& app, EvalOptions& options);
void parse_generate(CLI::App& app, GenerateOptions& options);
void parse_tokenizer(CLI::App& app, TokenizerOptions& options);
void parse_data(CLI::App& app, DataOptions& options);
void parse_config(CLI::App& app, ConfigOptions& options);
void parse_replay(CLI::App& app, ReplayOptions& options);
void parse_plan(CLI::App& app, PlanOptions& options);
void parse_pattern(CLI::App& app, PatternOptions& options);
void parse_parity(CLI::App& app, ParityOptions& options);
void parse_check(CLI::App& app, CheckOptions& options);
void parse_bench(CLI::App& app, BenchOptions& options);
void parse_import(CLI::App& app, ImportOptions& options);
void parse_export(CLI::App& app, ExportOptions& options);
void parse_checkpoint(CLI::App& app, CheckpointOptions& options);

}  // namespace longhaul::cli
