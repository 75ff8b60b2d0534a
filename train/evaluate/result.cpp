#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "train/evaluate/buckets.h"
#include "train/evaluate/evaluate.h"
#include "train/observe/format.h"

namespace longhaul::train {
namespace {

using Json = nlohmann::ordered_json;

Json known(double value) {
  if (std::isfinite(value)) return value;
  return nullptr;
}
Json known(const std::optional<double>& value) { return value ? known(*value) : Json(nullptr); }

Json list_of(const std::vector<PositionLoss>& buckets) {
  Json list = Json::array();
  for (const PositionLoss& bucket : buckets) {
    list.push_back({{"from", bucket.from},
                    {"to", bucket.to},
                    {"tokens", bucket.tokens},
                    {"loss", known(bucket.loss)},
                    {"bits_per_byte", known(bucket.bits_per_byte)}});
  }
  return list;
}

}  // namespace

std::string_view name_of(EvaluationProtocol protocol) {
  switch (protocol) {
    case EvaluationProtocol::kBlock:
      return "block";
    case EvaluationProtocol::kStrided:
      return "strided";
    case EvaluationProtocol::kSliding:
      return "sliding";
    case EvaluationProtocol::kMemory:
      break;
  }
  return "memory";
}

std::vector<PositionLoss> LossBuckets::means(int64_t text_bytes) const {
  int64_t all = 0;
  for (const Bucket& bucket : buckets_) all += bucket.bytes;
  std::vector<PositionLoss> means;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const Bucket& bucket = buckets_[i];
    if (bucket.tokens == 0) continue;
    const int64_t from = i == 0 ? 0 : int64_t{1} << (i - 1);
    means.push_back({.from = from,
                     .to = int64_t{1} << i,
                     .tokens = bucket.tokens,
                     .loss = bucket.nats / static_cast<double>(bucket.tokens)});
    if (all == text_bytes && bucket.bytes > 0) {
      means.back().bits_per_byte = bucket.nats / (std::numbers::ln2 * static_cast<double>(bucket.bytes));
    }
  }
  return means;
}

double EvaluationResult::loss() const { return nats / static_cast<double>(tokens); }
double EvaluationResult::perplexity() const { return std::exp(loss()); }

std::optional<double> EvaluationResult::word_perplexity() const {
  if (!whole_text || fidelity == data::Fidelity::kLossy || words == 0) return std::nullopt;
  return std::exp(nats / static_cast<double>(words));
}
std::optional<double> EvaluationResult::bits_per_byte() const {
  if (!whole_text || fidelity != data::Fidelity::kExact || bytes == 0) return std::nullopt;
  return nats / (std::numbers::ln2 * static_cast<double>(bytes));
}
std::optional<double> EvaluationResult::bits_per_character() const {
  if (!whole_text || fidelity != data::Fidelity::kExact || characters == 0) return std::nullopt;
  return nats / (std::numbers::ln2 * static_cast<double>(characters));
}
double EvaluationResult::tokens_per_second() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }

std::string to_json(const EvaluationResult& r) {
  Json json;
  json["tokens"] = r.tokens;
  json["bytes"] = r.bytes;
  json["characters"] = r.characters;
  json["words"] = r.words;
  json["documents"] = r.documents;
  json["unscored"] = r.unscored;
  json["nats"] = known(r.nats);
  json["loss"] = known(r.loss());
  json["perplexity"] = known(r.perplexity());
  json["word_perplexity"] = known(r.word_perplexity());
  json["bits_per_byte"] = known(r.bits_per_byte());
  json["bits_per_character"] = known(r.bits_per_character());
  if (r.accuracy) json["accuracy"] = *r.accuracy;
  if (r.exact) json["exact"] = *r.exact;
  if (r.f1) json["f1"] = *r.f1;
  json["protocol"] = name_of(r.protocol);
  json["context"] = r.context;
  json["stride"] = r.stride;
  json["memory"] = r.memory;
  json["by_position"] = list_of(r.by_position);
  json["by_context"] = list_of(r.by_context);
  json["seconds"] = r.seconds;
  json["tokens_per_second"] = r.tokens_per_second();
  return json.dump();
}

std::string to_text(const EvaluationResult& r) {
  std::string text;
  const auto row = [&text](const char* name, const std::string& value) {
    text += fmt::format("{}{:<19}{}", text.empty() ? "" : "\n", name, value);
  };
  const auto figure = [&row](const char* name, const std::optional<double>& value) {
    if (value) row(name, fmt::format("{:.4f}", *value));
  };
  figure("accuracy", r.accuracy);
  figure("exact", r.exact);
  figure("f1", r.f1);
  row("loss", fmt::format("{:.4f} nats/token", r.loss()));
  row("perplexity", fmt::format("{:.4f} per token", r.perplexity()));
  figure("word perplexity", r.word_perplexity());
  figure("bits per byte", r.bits_per_byte());
  figure("bits per character", r.bits_per_character());
  if (r.whole_text) {
    row("protocol", fmt::format("{}, context {}, stride {}", name_of(r.protocol), r.context, r.stride) +
                        (r.memory > 0 ? fmt::format(", memory {}", r.memory) : ""));
  }
  row("scored", fmt::format("{} tokens, {} bytes, {} words, {} document{}", r.tokens, r.bytes, r.words, r.documents,
                            r.documents == 1 ? "" : "s"));
  row("speed", grouped(r.tokens_per_second()) + " tokens/s");
  const bool in_bits = !r.by_position.empty() && r.by_position.back().bits_per_byte.has_value();
  if (!r.by_position.empty()) row("loss by position", in_bits ? "nats/token  bits/byte" : "nats/token");
  for (const PositionLoss& bucket : r.by_position) {
    const std::string range = bucket.to - bucket.from == 1 ? fmt::format("{}", bucket.from)
                                                           : fmt::format("{}-{}", bucket.from, bucket.to - 1);
    const std::string bits = bucket.bits_per_byte ? fmt::format("{:<11.4f}", *bucket.bits_per_byte)
                             : in_bits            ? std::string(11, ' ')
                                                  : "";
    text += fmt::format("\n  {:<17}{:<12.4f}{}{} tokens", range, bucket.loss, bits, bucket.tokens);
  }
  return text;
}

}  // namespace longhaul::train
