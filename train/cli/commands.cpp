#include "train/cli/commands.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "train/cli/parsers.h"
#include "train/commands/checkpoint.h"
#include "train/commands/config.h"
#include "train/commands/data.h"
#include "train/commands/exchange.h"
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

void add_commands(CLI::App& app, std::function<int(Console&)>& selected) {
  add(app, selected, "checkpoint", parse_checkpoint, run_checkpoint);
  add(app, selected, "config", parse_config, run_config);
  add(app, selected, "data", parse_data, run_data);
  add(app, selected, "export", parse_export, run_export);
  add(app, selected, "import", parse_import, run_import);
  add(app, selected, "tokenizer", parse_tokenizer, run_tokenizer);
  add(app, selected, "train", parse_train, run_train);
}

}  // namespace longhaul::cli
