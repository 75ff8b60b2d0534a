#include <CLI/CLI.hpp>

#include "train/cli/flags.h"
#include "train/cli/parsers.h"

namespace longhaul::cli {

void parse_parity(CLI::App& app, ParityOptions& o) {
  app.description("Run reference cases through the code that training uses, and compare.");
  arguments(app, "DIR", o.folders, "folders that hold cases, at any depth");
  choice_flag<std::string>(app, "--device", o.device, {{"cpu", "cpu"}, {"cuda", "cuda"}, {"reference", "reference"}},
                           "reference runs the plain loops, definition cases in f64");
  text_flag(app, "--write", o.write, "OUT", "store what was computed as OUT/<case>/computed.safetensors");
  json_flag(app, o.json);
  example(app, "longhaul parity tests/reference --device cpu");
}

void parse_check(CLI::App& app, CheckOptions& o) {
  app.description("Self-test of this machine and build: kernels against the reference, determinism; under a minute.");
  device_flags(app, o.device);
  json_flag(app, o.json);
  example(app, "longhaul check --device cpu");
}

void parse_import(CLI::App& app, ImportOptions& o) {
  app.description("A public checkpoint folder (config.json, model.safetensors, tokenizer files) to a model folder.");
  argument(app, "HF_DIR", o.source, "folder to read");
  argument(app, "OUT", o.out, "model folder to write");
  whole_flag(app, "--positions", o.positions, 1, "make the table of learned positions that long by repeating its rows (default: as it is)");
  json_flag(app, o.json);
  example(app, "longhaul import downloads/longformer models/longformer --positions 16384");
}

void parse_export(CLI::App& app, ExportOptions& o) {
  app.description("A model to a public checkpoint folder.");
  argument(app, "MODEL", o.model, "run folder, checkpoint folder or model folder");
  argument(app, "OUT", o.out, "folder to write");
  json_flag(app, o.json);
  example(app, "longhaul export runs/quickstart public/quickstart");
}

void parse_checkpoint(CLI::App& app, CheckpointOptions& o) {
  using Action = CheckpointOptions::Action;
  app.description("What is saved in a run, whether every hash holds, where two checkpoints differ.");
  example(app, "longhaul checkpoint verify runs/quickstart");
  app.require_subcommand(1);
  CLI::App& list = *app.add_subcommand("list", "List the checkpoints of a run.");
  list.callback([&o] { o.action = Action::kList; });
  argument(list, "RUN", o.run, "run folder");
  example(list, "longhaul checkpoint list runs/quickstart");

  CLI::App& verify = *app.add_subcommand("verify", "Check every hash; exit 4 when one does not hold.");
  verify.callback([&o] { o.action = Action::kVerify; });
  argument(verify, "RUN", o.run, "run folder, checkpoint folder or model folder");
  example(verify, "longhaul checkpoint verify runs/quickstart");

  CLI::App& diff =
      *app.add_subcommand("diff", "Say where two checkpoints differ, measured times aside; exit 1 when they do.");
  diff.callback([&o] { o.action = Action::kDiff; });
  argument(diff, "RUN", o.run, "run folder, checkpoint folder or model folder");
  diff.add_option("OTHER", o.other, "the second one")->type_name("")->default_str("the two newest checkpoints of RUN");
  example(diff, "longhaul checkpoint diff runs/a runs/b");

  CLI::App& prune = *app.add_subcommand("prune", "Remove old checkpoints; the newest sound one always stays.");
  prune.callback([&o] { o.action = Action::kPrune; });
  argument(prune, "RUN", o.run, "run folder");
  whole_flag(prune, "--keep", o.keep, 1, "newest ones that stay");
  switch_flag(prune, "--dry-run", o.dry_run, "only say what would be removed");
  example(prune, "longhaul checkpoint prune runs/quickstart --keep 1");
  for (CLI::App* part : {&list, &verify, &diff, &prune}) json_flag(*part, o.json);
}

}  // namespace longhaul::cli
