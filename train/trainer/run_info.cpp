#include "train/trainer/run_info.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"

namespace longhaul::train {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }
double number(const Json& value) { return value.is_null() ? kUnknown : value.get<double>(); }

Json summary_to(const RunSummary& s) {
  return {{"steps", s.steps},
          {"tokens", s.tokens},
          {"seconds", number(s.seconds)},
          {"train_loss", number(s.train_loss)},
          {"valid_loss", number(s.valid_loss)},
          {"valid_perplexity", number(s.valid_perplexity)},
          {"bits_per_byte", number(s.bits_per_byte)},
          {"test_loss", number(s.test_loss)},
          {"test_perplexity", number(s.test_perplexity)},
          {"test_bits_per_byte", number(s.test_bits_per_byte)},
          {"accuracy", number(s.accuracy)},
          {"exact", number(s.exact)},
          {"f1", number(s.f1)},
          {"tokens_per_second", number(s.tokens_per_second)},
          {"peak_memory_bytes", s.peak_memory_bytes}};
}

RunSummary summary_from(const Json& json) {
  RunSummary s;
  s.steps = json.at("steps").get<int64_t>();
  s.tokens = json.at("tokens").get<int64_t>();
  s.seconds = number(json.at("seconds"));
  s.train_loss = number(json.at("train_loss"));
  s.valid_loss = number(json.at("valid_loss"));
  s.valid_perplexity = number(json.at("valid_perplexity"));
  s.bits_per_byte = number(json.at("bits_per_byte"));
  s.test_loss = number(json.at("test_loss"));
  s.test_perplexity = number(json.at("test_perplexity"));
  s.test_bits_per_byte = number(json.at("test_bits_per_byte"));
  s.accuracy = number(json.at("accuracy"));
  s.exact = number(json.at("exact"));
  s.f1 = number(json.at("f1"));
  s.tokens_per_second = number(json.at("tokens_per_second"));
  s.peak_memory_bytes = json.at("peak_memory_bytes").get<int64_t>();
  return s;
}

}  // namespace

std::string RunInfo::to_json() const {
  Json data = Json::object();
  for (const auto& [split, info] : splits) {
    data[split] = {{"hash", info.hash}, {"files", Json::parse(info.marks)}};
  }
  Json list = Json::array();
  for (const RunChange& change : changes) {
    list.push_back({{"step", change.step}, {"key", change.key}, {"old", change.old_value}, {"new", change.new_value}});
  }
  const Json json = {{"name", name},
                     {"status", status},
                     {"version", version},
                     {"revision", revision},
                     {"devices", Json::array({device})},
                     {"precision", precision},
                     {"ranks", ranks},
                     {"threads", threads},
                     {"seed", seed},
                     {"micro_batch", micro_batch},
                     {"parameters", parameters},
                     {"sessions", sessions},
                     {"tokenizer", tokenizer_hash},
                     {"data", data},
                     {"changes", list},
                     {"summary", summary_to(summary)}};
  return json.dump(2) + "\n";
}

RunInfo RunInfo::from_json(const std::string& text, const std::string& where) {
  RunInfo out;
  try {
    const Json json = Json::parse(text);
    out.name = json.at("name").get<std::string>();
    out.status = json.at("status").get<std::string>();
    out.version = json.at("version").get<std::string>();
    out.revision = json.at("revision").get<std::string>();
    out.device = json.at("devices").at(0).get<std::string>();
    out.precision = json.at("precision").get<std::string>();
    out.ranks = json.at("ranks").get<int64_t>();
    out.threads = json.at("threads").get<int64_t>();
    out.seed = json.at("seed").get<int64_t>();
    out.micro_batch = json.at("micro_batch").get<int64_t>();
    out.parameters = json.at("parameters").get<int64_t>();
    out.sessions = json.at("sessions").get<int64_t>();
    out.tokenizer_hash = json.at("tokenizer").get<std::string>();
    for (const auto& [split, info] : json.at("data").items()) {
      out.splits[split] = {.marks = info.at("files").dump(), .hash = info.at("hash").get<std::string>()};
    }
    for (const Json& change : json.at("changes")) {
      out.changes.push_back({.step = change.at("step").get<int64_t>(),
                             .key = change.at("key").get<std::string>(),
                             .old_value = change.at("old").get<std::string>(),
                             .new_value = change.at("new").get<std::string>()});
    }
    out.summary = summary_from(json.at("summary"));
  } catch (const nlohmann::json::exception& error) {
    fail<CheckpointError>(
        "[run] {}: this is not the run.json of a run: {}\n"
        "  hint: a model folder is not a run; start a new run with --init-from",
        where, error.what());
  }
  return out;
}

}  // namespace longhaul::train
