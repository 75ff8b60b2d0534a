#include "train/observe/recorders.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "framework/base/error.h"
#include "train/observe/progress.h"
#include "train/plots/svg.h"

namespace longhaul::train {
namespace {

using Json = nlohmann::ordered_json;

Json known(double value) {
  if (std::isfinite(value)) return value;
  return nullptr;
}

// The members of an object, without its braces.
std::string members_of(const Json& object) {
  const std::string text = object.dump();
  return text.substr(1, text.size() - 2);
}

}  // namespace

MetricsFile::MetricsFile(io::Path path) : path_(std::move(path)) {}

void MetricsFile::on_start(const RunStart&) { file_ = io::File::append(path_); }

void MetricsFile::add(int64_t step, const std::string& members) {
  if (step != pending_step_) write_pending();
  if (pending_.empty() && step == written_step_) pending_ = written_;
  pending_step_ = step;
  pending_ += (pending_.empty() ? "" : ",") + members;
}

void MetricsFile::write_pending() {
  if (pending_.empty()) return;
  if (pending_step_ == written_step_) file_.truncate(line_begin_);
  line_begin_ = file_.size();
  file_.write("{\"step\":" + std::to_string(pending_step_) + "," + pending_ + "}\n");
  written_step_ = pending_step_;
  written_ = std::exchange(pending_, {});
}

void MetricsFile::on_step(const StepMetrics& event) {
  if (event.step != pending_step_) write_pending();
}

void MetricsFile::on_log(const StepMetrics& m) {
  Json line;
  line["tokens"] = m.tokens;
  line["loss"] = known(m.loss);
  line["learning_rate"] = known(m.learning_rate);
  line["grad_norm"] = known(m.grad_norm);
  line["tokens_per_second"] = known(m.tokens_per_second);
  line["memory"] = m.memory;
  line["epoch"] = known(m.epoch);
  line["seconds"] = known(m.seconds);
  line["skipped_steps"] = m.skipped_steps;
  for (const auto& [name, value] : m.gauges) line[name] = known(value);
  add(m.step, members_of(line));
}

void MetricsFile::on_evaluation(const EvaluationMetrics& m) {
  const std::string prefix = m.split + (m.averaged ? "_averaged" : "");
  Json line;
  line[prefix + "_loss"] = known(m.loss);
  line[prefix + "_perplexity"] = known(m.perplexity);
  line[prefix + "_bits_per_byte"] = known(m.bits_per_byte);
  line[prefix + "_word_perplexity"] = known(m.word_perplexity);
  if (std::isfinite(m.accuracy)) line[prefix + "_accuracy"] = m.accuracy;
  if (std::isfinite(m.exact)) line[prefix + "_exact"] = m.exact;
  if (std::isfinite(m.f1)) line[prefix + "_f1"] = m.f1;
  line[prefix + "_tokens"] = m.tokens;
  line[prefix + "_seconds"] = known(m.seconds);
  add(m.step, members_of(line));
}

void MetricsFile::flush() {
  write_pending();
  if (file_.is_open()) file_.sync();
}

void MetricsFile::on_end(const RunSummary&) {
  flush();
  file_.close();
}

TensorBoardObserver::TensorBoardObserver(io::Path folder, Clock clock) : folder_(std::move(folder)), clock_(clock) {}

double TensorBoardObserver::wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void TensorBoardObserver::on_start(const RunStart& event) {
  file_.emplace(folder_, clock_(), event.step > 0 ? event.step + 1 : 0);
}

void TensorBoardObserver::on_log(const StepMetrics& m) {
  TensorBoardEvent event{clock_(),
              m.step,
              {{"train/loss", static_cast<float>(m.loss)},
               {"train/learning_rate", static_cast<float>(m.learning_rate)},
               {"train/grad_norm", static_cast<float>(m.grad_norm)},
               {"speed/tokens_per_second", static_cast<float>(m.tokens_per_second)},
               {"memory/tensor_bytes", static_cast<float>(m.memory)}}};
  for (const auto& [name, value] : m.gauges) event.scalars.emplace_back("gauges/" + name, static_cast<float>(value));
  file_->add(event);
}

void TensorBoardObserver::on_evaluation(const EvaluationMetrics& m) {
  const std::string prefix = m.split + (m.averaged ? "_averaged/" : "/");
  TensorBoardEvent event{clock_(), m.step, {}};
  event.scalars.emplace_back(prefix + "loss", static_cast<float>(m.loss));
  event.scalars.emplace_back(prefix + "perplexity", static_cast<float>(m.perplexity));
  if (std::isfinite(m.bits_per_byte)) {
    event.scalars.emplace_back(prefix + "bits_per_byte", static_cast<float>(m.bits_per_byte));
  }
  const std::pair<const char*, double> others[] = {{"accuracy", m.accuracy}, {"exact", m.exact}, {"f1", m.f1}};
  for (const auto& [name, value] : others) {
    if (std::isfinite(value)) event.scalars.emplace_back(prefix + name, static_cast<float>(value));
  }
  file_->add(event);
}

void TensorBoardObserver::flush() {
  if (file_) file_->sync();
}

LossPlot::LossPlot(io::Path metrics, io::Path svg) : metrics_(std::move(metrics)), svg_(std::move(svg)) {}

void LossPlot::on_start(const RunStart& event) { name_ = event.name; }

void LossPlot::on_end(const RunSummary&) {
  Series training{.name = "training", .points = {}}, validation{.name = "validation", .points = {}, .marks = true};
  if (io::exists(metrics_)) {
    std::istringstream lines(io::read_file(metrics_));
    for (std::string line; std::getline(lines, line);) {
      const Json values = Json::parse(line, nullptr, false);
      if (!values.is_object() || !values.contains("step")) continue;  // a line cut short by a crash: nothing to draw
      const auto number = [&values](const char* key) {
        return values.contains(key) && values[key].is_number() ? values[key].get<double>() : kUnknown;
      };
      const double step = number("step");
      if (values.contains("loss")) training.points.emplace_back(step, number("loss"));
      if (values.contains("valid_loss")) validation.points.emplace_back(step, number("valid_loss"));
    }
  }
  Plot plot{.title = "Loss of " + name_, .x = {.label = "step"}, .y = {.label = "loss (nats per token)"}, .series = {}};
  plot.series.push_back(std::move(training));
  if (!validation.points.empty()) plot.series.push_back(std::move(validation));
  io::replace_file(svg_, draw_svg(plot));
}

std::unique_ptr<Observer> make_run_observers(const io::Path& run, cli::Console& console) {
  auto all = std::make_unique<Observers>();
  all->add(std::make_unique<ProgressObserver>(console));
  all->add(std::make_unique<MetricsFile>(run / "metrics.jsonl"));
  all->add(std::make_unique<TensorBoardObserver>(run / "events"));
  all->add(std::make_unique<LossPlot>(run / "metrics.jsonl", run / "loss.svg"));
  return all;
}

}  // namespace longhaul::train
