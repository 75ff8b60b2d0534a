#include <CLI/CLI.hpp>

#include "train/cli/flags.h"
#include "train/cli/parsers.h"

namespace longhaul::cli {

void parse_train(CLI::App& app, TrainOptions& o) {
  app.description("Train a model from a configuration file; the same command again continues an interrupted run.");
  argument(app, "CONFIG", o.config, "YAML file; `extends` is followed, the extending file wins");
  set_flag(app, o.set);
  text_flag(app, "--run", o.run, "DIR", "run folder")->default_str("runs/<run.name>");
  text_flag(app, "--init-from", o.init_from, "MODEL", "start a new run from a model's weights")
      ->default_str("run.init_from");
  switch_flag(app, "--fresh", o.fresh, "refuse to continue an existing run");
  switch_flag(app, "--strict", o.strict, "continue from the newest checkpoint or not at all");
  switch_flag(app, "--dry-run", o.dry_run, "build, plan, read one batch and stop before step 1");
  whole_flag(app, "--profile", o.profile, 0, "end after N steps with time and GF/s by operation", "off");
  json_flag(app, o.json);
  example(app, "longhaul train configs/quickstart.yaml --set train.steps=500");
}

void parse_eval(CLI::App& app, EvalOptions& o) {
  app.description("Perplexity and bits per byte of a model on documents, and its loss by position.");
  argument(app, "MODEL", o.model, "run folder (newest sound checkpoint), checkpoint folder or model folder");
  repeated_flag(app, "--set", o.set, "KEY=VALUE", "override one key of the model's configuration (repeatable), e.g. --set model.eval_rounds=8");
  app.add_option("--data", o.data.paths, "files, folders or globs")->type_name("PATH...")->required();
  choice_flag<Protocol>(app, "--protocol", o.protocol,
                        {{"auto", Protocol::kAuto},
                         {"block", Protocol::kBlock},
                         {"sliding", Protocol::kSliding},
                         {"strided", Protocol::kStrided},
                         {"memory", Protocol::kMemory}},
                        "auto is memory (state carried) for recurrent families and block for others");
  whole_flag(app, "--context", o.context, 1, "tokens of a window", "the model's sequence length");
  whole_flag(app, "--stride", o.stride, 1, "tokens between windows, for --protocol strided",
             "context for block, 1 for sliding");
  whole_flag(app, "--memory", o.memory, 1, "tokens kept before a window, for --protocol memory",
             "model.memory.eval_length");
  whole_flag(app, "--slots", o.slots, 1, "slots kept before that memory, for compressive models",
             "model.memory.eval_compressed");
  switch_flag(app, "--cross-documents", o.cross_documents, "one stream over all documents, in order");
  whole_flag(app, "--batch", o.batch, 1, "windows at once", "what fits");
  text_flag(app, "--per-token", o.per_token, "FILE", "write one line for each scored token");
  text_flag(app, "--plot", o.plot, "FILE.svg", "draw the loss by position");
  CLI::Option* recl = switch_flag(app, "--recl", o.recl,
                                  "the relative effective context length instead: how long a context still helps, up to --context");
  app.add_option("--recl-against", o.recl_against, "the other models of the group that --recl compares")
      ->type_name("MODEL...")
      ->needs(recl);
  whole_flag(app, "--recl-step", o.recl_step, 1, "tokens by which the context of --recl grows")->needs(recl);
  text_flags(app, o.data);
  device_flags(app, o.device);
  json_flag(app, o.json);
  example(app, "longhaul eval runs/quickstart --data book.txt --protocol strided --stride 256");
}

void parse_generate(CLI::App& app, GenerateOptions& o) {
  app.description("Text from a trained model, streamed to standard output.");
  argument(app, "MODEL", o.model, "run folder (newest sound checkpoint), checkpoint folder or model folder");
  CLI::Option* prompt = text_flag(app, "--prompt", o.prompt, "TEXT", "text to continue");
  text_flag(app, "--prompt-file", o.prompt_file, "FILE", "file of the text to continue; - is standard input")
      ->excludes(prompt);
  whole_flag(app, "--max-new", o.max_new, 0, "tokens to make");
  number_flag(app, "--temperature", o.temperature, 0, 1000, "divides the logits; 0 takes the most likely token");
  whole_flag(app, "--top-k", o.top_k, 0, "draw from the N most likely tokens", "off");
  number_flag(app, "--top-p", o.top_p, 0, 1, "draw from the most likely tokens that together reach probability X",
              "off");
  whole_flag(app, "--beams", o.beams, 1, "beams of a search for the most likely text; 1 draws instead");
  whole_flag(app, "--seed", o.seed, 0, "of the draws");
  text_flag(app, "--state", o.state, "FILE",
            "recurrent families: go on from the memory in FILE where it is there, and leave the new one in it");
  device_flags(app, o.device);
  json_flag(app, o.json);
  example(app, "longhaul generate runs/quickstart --prompt \"It was a dark\" --max-new 100 --temperature 0.8");
}

void parse_plan(CLI::App& app, PlanOptions& o) {
  app.description("Parameters, FLOPs, memory by family and the longest sequence that fits; touches no weights.");
  argument(app, "CONFIG", o.config, "YAML file");
  set_flag(app, o.set);
  json_flag(app, o.json);
  example(app, "longhaul plan configs/quickstart.yaml --set data.sequence_length=65536");
}

void parse_replay(CLI::App& app, ReplayOptions& o) {
  app.description("Take one step of a run again, in memory, and compare its loss with the journal, bit by bit.");
  argument(app, "RUN", o.run, "run folder");
  whole_flag(app, "--step", o.step, 1, "step to take again", "the last one");
  json_flag(app, o.json);
  example(app, "longhaul replay runs/quickstart --step 120");
}

void parse_pattern(CLI::App& app, PatternOptions& o) {
  app.description("A picture of who attends to whom, with counts.");
  argument(app, "CONFIG|MODEL|SYSTEM", o.system, "YAML file, a trained model, or the name of a model family");
  set_flag(app, o.set);
  whole_flag(app, "--length", o.length, 1, "tokens", "none")->required();
  text_flag(app, "--out", o.out, "FILE", "write an .svg or .txt file")->default_str("text on standard output");
  text_flag(app, "--text", o.text, "FILE",
            "also measure what the trained MODEL chooses by content, on the first --length tokens of this text; - is standard input");
  json_flag(app, o.json);
  example(app, "longhaul pattern configs/quickstart.yaml --length 512 --out window.svg");
}

void parse_bench(CLI::App& app, BenchOptions& o) {
  app.description("Time attention, a training step or generation.");
  example(app, "longhaul bench step configs/quickstart.yaml");
  app.require_subcommand(1);
  CLI::App& attention = *app.add_subcommand("attention", "One attention operation, forward and backward.");
  attention.callback([&o] { o.action = BenchOptions::Action::kAttention; });
  text_flag(attention, "--pattern", o.pattern, "P",
            "causal, dense, window:KEYS, longformer:WINDOW:GLOBALS, bigbird:BLOCK, memory:KEYS (causal, with so many keys before "
            "the queries) or relative:KEYS (the same with relative positions)");
  whole_flag(attention, "--length", o.length, 1, "tokens");
  whole_flag(attention, "--batch", o.batch, 1, "sequences");
  whole_flag(attention, "--heads", o.heads, 1, "heads");
  whole_flag(attention, "--head-dim", o.head_dim, 1, "width of a head");
  choice_flag<std::string>(attention, "--dtype", o.dtype, {{"f32", "f32"}, {"bf16", "bf16"}}, "element type");
  whole_flag(attention, "--repeats", o.repeats, 1, "timed runs; the median counts");
  example(attention, "longhaul bench attention --pattern window:512 --length 16384 --dtype bf16");

  CLI::App& step = *app.add_subcommand("step", "Training steps of a configuration.");
  step.callback([&o] { o.action = BenchOptions::Action::kStep; });
  argument(step, "CONFIG", o.target, "YAML file");
  set_flag(step, o.set);
  whole_flag(step, "--steps", o.steps, 1, "timed steps after the warm-up");
  example(step, "longhaul bench step configs/quickstart.yaml --steps 10");

  CLI::App& generate = *app.add_subcommand("generate", "Reading of a prompt, and decoding.");
  generate.callback([&o] { o.action = BenchOptions::Action::kGenerate; });
  argument(generate, "MODEL|CONFIG", o.target, "a trained model, or a YAML file for random weights");
  set_flag(generate, o.set);
  whole_flag(generate, "--context", o.context, 1, "tokens of the prompt");
  whole_flag(generate, "--new", o.fresh, 1, "tokens to make");
  example(generate, "longhaul bench generate runs/quickstart --context 1024 --new 128");
  for (CLI::App* part : {&attention, &step, &generate}) {
    device_flags(*part, o.device);
    json_flag(*part, o.json);
  }
}

}  // namespace longhaul::cli
