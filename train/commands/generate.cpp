#include "train/commands/generate.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "train/commands/device.h"
#include "train/commands/open_model.h"
#include "train/generate/generate.h"
#include "train/generate/text_stream.h"

namespace longhaul::cli {
namespace {

std::string read_standard_input() {
  std::string text;
  char buffer[1 << 16];
  for (ssize_t count; (count = ::read(STDIN_FILENO, buffer, sizeof buffer)) != 0;) {
    if (count < 0 && errno == EINTR) continue;
    check<DataError>(count > 0, "[generate] standard input cannot be read");
    text.append(buffer, static_cast<size_t>(count));
  }
  return text;
}

std::string prompt_of(const GenerateOptions& options) {
  if (options.prompt_file.empty()) return options.prompt;
  if (options.prompt_file == "-") return read_standard_input();
  check<DataError>(io::exists(options.prompt_file), "[generate] there is no file {}", options.prompt_file);
  return io::read_file(options.prompt_file);
}

}  // namespace

int run_generate(const GenerateOptions& options, Console& console) {
  const Device device = prepare_device(options.device);
  const OpenedModel opened = open_model(options.model, device);
  const std::string prompt = prompt_of(options);

  train::GenerateRequest request;
  const data::ExtendedTokenizer& tokenizer = opened.objective->tokenizer();
  const bool pair = opened.objective->info().sides == data::Sides::kEncoderDecoder;
  if (pair) {
    request.source = tokenizer.encode(prompt);
    request.source.push_back(tokenizer.special().end);
    request.prompt = {opened.objective->start_of_target()};
  } else {
    request.prompt = tokenizer.encode(prompt);
    if (request.prompt.empty()) request.prompt = train::start_tokens(tokenizer);
  }
  request.max_new = options.max_new;
  request.sampling = {.temperature = options.temperature, .top_k = options.top_k, .top_p = options.top_p};
  request.beams = options.beams;
  request.seed = static_cast<uint64_t>(options.seed);
  request.end = tokenizer.special().end;
  request.compute = opened.compute;

  train::TextStream stream(tokenizer, request.prompt);
  std::string text;
  const auto give = [&](const std::string& piece) {
    text += piece;
    if (!options.json && !piece.empty()) console.stream(piece);
  };
  if (!options.json && !pair) console.stream(prompt);  // a target is no continuation of its source
  const train::Generation made =
      train::generate(*opened.model, request, [&](int32_t token) { give(stream.add(token)); });
  give(stream.finish());
  if (!options.json) {
    console.stream("\n");
    return 0;
  }
  nlohmann::ordered_json json;
  json["prompt"] = prompt;
  json["text"] = text;
  json["tokens"] = made.tokens;
  json["ended"] = made.ended;
  json["log_probability"] = made.log_probability;
  json["prompt_tokens"] = pair ? request.source.size() : request.prompt.size();
  json["prefill_seconds"] = made.prefill_seconds;
  json["seconds"] = made.seconds;
  json["tokens_per_second"] = made.tokens_per_second();
  // Bytes that are no UTF-8 cannot stand in JSON: they become U+FFFD here; `tokens` has them exactly.
  console.result(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  return 0;
}

}  // namespace longhaul::cli
