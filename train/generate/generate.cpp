#include "train/generate/generate.h"

#include <algorithm>
#include <chrono>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/tensor/random.h"
#include "train/generate/beams.h"
#include "train/generate/decoder.h"

namespace longhaul::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Generation sample(Decoder& decoder, Tensor logits, const GenerateRequest& request,
                  const std::function<void(int32_t)>& on_token) {
  const RandomStream random{.seed = request.seed, .step = 0, .layer = 0, .purpose = RandomPurpose::kSampling};
  static constexpr int64_t kOnlyRow[] = {0};
  Generation result;
  for (int64_t made = 0; made < request.max_new; ++made) {
    const std::span<const float> row(logits.data<float>(), request.choices(logits.size(1)));
    const int32_t token = choose_token(row, request.sampling, random.uniform(static_cast<uint64_t>(made)));
    result.log_probability += log_probability(row, token);
    if (token == request.end) {
      result.ended = true;
      break;
    }
    result.tokens.push_back(token);
    if (on_token) on_token(token);
    if (made + 1 < request.max_new) logits = decoder.append({&token, 1}, kOnlyRow);
  }
  return result;
}

void check_request(const models::Model& model, const GenerateRequest& request) {
  check<ConfigError>(!request.prompt.empty(), "[generate] the prompt has no token");
  for (const auto& [name, tokens] : {std::pair("prompt", &request.prompt), std::pair("source", &request.source)}) {
    for (const int32_t token : *tokens) {
      check<ConfigError>(token >= 0 && token < model.spec().vocabulary,
                         "[generate] the {} has id {}, but the model has {} ids", name, token, model.spec().vocabulary);
    }
  }
  const bool reads = model.spec().form == models::Form::kEncoderDecoder;
  check<ConfigError>(reads || request.source.empty(), "[generate] this model has no encoder to read a source");
  check<ConfigError>(!reads || !request.source.empty(), "[generate] the source has no token");
  check<ConfigError>(static_cast<int64_t>(request.source.size()) <= longest_of(model),
                     "[generate] the source has {} tokens, the model's position table serves {} (model.max_positions)",
                     request.source.size(), longest_of(model));
  const bool recurrent = models::find_family(model.spec().family)->streams != nullptr;
  check<ConfigError>(recurrent || !(request.before || request.keep_state),
                     "[generate] a state is kept of recurrent models only; {} sees all tokens of its text again",
                     model.spec().family);
  check<ConfigError>(request.beams == 1 || !request.keep_state, "[generate] beams leave no single state");
}

/// The state behind a prompt: all but its last token are read.
Generation read_only(const models::Model& model, const GenerateRequest& request) {
  Generation result;
  std::vector<int32_t> read = request.prompt;
  result.state.last = read.back();
  read.pop_back();
  check<ConfigError>(!read.empty() || request.before, "[generate] one token alone leaves no state behind it");
  if (read.empty()) {
    result.state.memory = request.before->memory;
    return result;
  }
  const auto length = static_cast<int64_t>(read.size());
  Decoder decoder(model, {read}, length, request.compute, {}, request.before ? &request.before->memory : nullptr);
  decoder.read();
  result.state.memory = decoder.memory();
  return result;
}

}  // namespace

Generation generate(const models::Model& model, const GenerateRequest& given,
                    const std::function<void(int32_t)>& on_token) {
  GenerateRequest request = given;
  if (request.before) request.prompt.insert(request.prompt.begin(), request.before->last);
  check_request(model, request);
  if (!request.source.empty()) {
    const auto begun = static_cast<int64_t>(request.prompt.size());
    request.max_new = std::min(request.max_new, longest_written(model) - begun + 1);  // the last token is not read again
  }
  if (request.max_new <= 0 && !request.keep_state) return {};
  const NoTapeScope no_tape;
  auto start = std::chrono::steady_clock::now();
  const std::map<std::string, Tensor>* before = request.before ? &request.before->memory : nullptr;
  if (request.max_new <= 0) return read_only(model, request);
  Decoder decoder(model, {request.prompt}, static_cast<int64_t>(request.prompt.size()) + request.max_new,
                  request.compute, request.source, before);
  const Tensor logits = decoder.read();
  const double prefill = seconds_since(start);
  start = std::chrono::steady_clock::now();
  Generation result =
      request.beams > 1 ? search_beams(decoder, logits, request) : sample(decoder, logits, request, on_token);
  result.prefill_seconds = prefill;
  result.seconds = seconds_since(start);
  if (request.keep_state) {
    result.state.memory = decoder.memory();
    result.state.last = result.ended ? request.end : result.tokens.empty() ? request.prompt.back() : result.tokens.back();
  }
  if (request.beams > 1 && on_token) {
    for (const int32_t token : result.tokens) on_token(token);
  }
  return result;
}

std::vector<int32_t> start_tokens(const data::Tokenizer& tokenizer) {
  const data::SpecialIds special = tokenizer.special();
  if (special.begin >= 0) return {special.begin};
  if (special.end >= 0) return {special.end};
  try {
    std::vector<int32_t> ids = tokenizer.encode("\n");
    if (!ids.empty()) return ids;
  } catch (const DataError&) {  // a vocabulary without line ends
  }
  return {0};
}

}  // namespace longhaul::train
