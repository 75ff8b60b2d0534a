#include "train/cli/commands.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "train/cli/parsers.h"
#include "train/commands/bench.h"
#include "train/commands/check.h"
#include "train/commands/checkpoint.h"
#include "train/commands/config.h"
#include "train/commands/data.h"
#include "train/commands/eval.h"
#include "train/commands/exchange.h"
#include "train/commands/generate.h"
#include "train/commands/parity.h"
#include "train/commands/pattern.h"
#include "train/commands/plan.h"
#include "train/commands/replay.h"
#include "train/commands/tokenizer.h"
#include "train/commands/train.h"

namespace longhaul::cli {
namespace {

template <typename Options>
void add(CLI::App& app, std::function<int(Console&)>& selected, const char* name, void (*parse)(CLI::App&, Options&),
         int (*run)(const Options&, Console&)) {
  CLI::App* command = app.add_subcommand(name);
  command->fallthrough();  // --quiet and the like may stand after the command too
  auto options = std::make_shared<Options>();
  parse(*command, *options);
  for (CLI::App* part : command->get_subcommands([](const CLI::App*) { return true; })) part->fallthrough();
  command->final_callback(
      [options, run, &selected] { selected = [options, run](Console& console) { return run(*options, console); }; });
}

}  // namespace

// In the order of help.
void add_commands(CLI::App& app, std::function<int(Console&)>& selected) {
  add(app, selected, "train", parse_train, run_train);
  add(app, selected, "eval", parse_eval, run_eval);
  add(app, selected, "generate", parse_generate, run_generate);
  add(app, selected, "tokenizer", parse_tokenizer, run_tokenizer);
  add(app, selected, "data", parse_data, run_data);
  add(app, selected, "config", parse_config, run_config);
  add(app, selected, "plan", parse_plan, run_plan);
  add(app, selected, "pattern", parse_pattern, run_pattern);
  add(app, selected, "parity", parse_parity, run_parity);
  add(app, selected, "check", parse_check, run_check);
  add(app, selected, "bench", parse_bench, run_bench);
  add(app, selected, "import", parse_import, run_import);
  add(app, selected, "export", parse_export, run_export);
  add(app, selected, "checkpoint", parse_checkpoint, run_checkpoint);
  add(app, selected, "replay", parse_replay, run_replay);
}

}  // namespace longhaul::cli
