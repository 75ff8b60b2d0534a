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
    const std::span<const float> row(logits.data<float>(), static_cast<size_t>(logits.size(1)));
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
}

}  // namespace

Generation generate(const models::Model& model, const GenerateRequest& given,
                    const std::function<void(int32_t)>& on_token) {
  GenerateRequest request = given;
  check_request(model, request);
  if (!request.source.empty()) {
    const auto begun = static_cast<int64_t>(request.prompt.size());
    request.max_new = std::min(request.max_new, longest_of(model) - begun + 1);  // the last token is not read again
  }
  if (request.max_new <= 0) return {};
  const NoTapeScope no_tape;
  auto start = std::chrono::steady_clock::now();
  Decoder decoder(model, {request.prompt}, static_cast<int64_t>(request.prompt.size()) + request.max_new,
                  request.compute, request.source);
  const Tensor logits = decoder.read();
  const double prefill = seconds_since(start);
  start = std::chrono::steady_clock::now();
  Generation result =
      request.beams > 1 ? search_beams(decoder, logits, request) : sample(decoder, logits, request, on_token);
  result.prefill_seconds = prefill;
  result.seconds = seconds_since(start);
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
