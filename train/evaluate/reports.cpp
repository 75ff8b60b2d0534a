#include "train/evaluate/reports.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "train/plots/svg.h"

namespace longhaul::train {
namespace {

constexpr size_t kBufferBytes = 1 << 16;

// Quoted and escaped as JSON; bytes that are no UTF-8 become U+FFFD.
std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool in_bits(const EvaluationResult& result) {
  return std::ranges::all_of(result.by_position,
                             [](const PositionLoss& bucket) { return bucket.bits_per_byte.has_value(); }) &&
         std::ranges::all_of(result.by_context,
                             [](const PositionLoss& bucket) { return bucket.bits_per_byte.has_value(); });
}

Series series_of(const std::string& name, const std::vector<PositionLoss>& buckets, bool bits) {
  Series series{.name = name, .points = {}, .marks = true};
  for (const PositionLoss& bucket : buckets) {
    if (bucket.from > 0)
      series.points.emplace_back(static_cast<double>(bucket.from), bits ? *bucket.bits_per_byte : bucket.loss);
  }
  return series;
}

}  // namespace

PerTokenFile::PerTokenFile(io::Path path, const data::Tokenizer& tokenizer)
    : path_(std::move(path)),
      temporary_(path_.string() + ".tmp"),
      tokenizer_(tokenizer),
      json_(path_.extension() == ".jsonl") {
  io::remove_all(temporary_);
  file_ = io::File::create(temporary_);
  if (!json_) buffer_ = "document\tposition\ttoken\tpiece\tnll\n";
}

void PerTokenFile::add(const TokenLoss& t) {
  const std::string piece = quoted(tokenizer_.piece(t.token));
  if (json_) {
    buffer_ += fmt::format("{{\"document\":{},\"position\":{},\"token\":{},\"piece\":{},\"nll\":{}}}\n", t.document,
                           t.position, t.token, piece, nlohmann::json(t.nll).dump());
  } else {
    buffer_ +=
        fmt::format("{}\t{}\t{}\t{}\t{}\n", t.document, t.position, t.token, piece.substr(1, piece.size() - 2), t.nll);
  }
  if (buffer_.size() >= kBufferBytes) write();
}

void PerTokenFile::write() {
  file_.write(buffer_);
  buffer_.clear();
}

void PerTokenFile::finish() {
  write();
  file_.sync();
  file_.close();
  io::rename(temporary_, path_);
  io::sync_folder(io::parent_of(path_));
}

std::string loss_by_position_svg(const EvaluationResult& result, const std::string& title) {
  const bool bits = in_bits(result);
  Plot plot{.title = title,
            .x = {.label = "tokens before the predicted one (lower end of each bucket)", .scale = AxisScale::kLog2},
            .y = {.label = bits ? "bits per byte" : "loss (nats per token)"},
            .series = {}};
  plot.series.push_back(series_of("in the document", result.by_position, bits));
  plot.series.push_back(series_of("visible to the model", result.by_context, bits));
  return draw_svg(plot);
}

}  // namespace longhaul::train
