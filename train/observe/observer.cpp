#include "train/observe/observer.h"

#include <utility>

namespace longhaul::train {

void Observers::add(std::unique_ptr<Observer> observer) { all_.push_back(std::move(observer)); }

void Observers::on_start(const RunStart& event) {
  for (const auto& observer : all_) observer->on_start(event);
}
void Observers::on_step(const StepMetrics& event) {
  for (const auto& observer : all_) observer->on_step(event);
}
void Observers::on_log(const StepMetrics& event) {
  for (const auto& observer : all_) observer->on_log(event);
}
void Observers::on_evaluating(const EvaluationProgress& event) {
  for (const auto& observer : all_) observer->on_evaluating(event);
}
void Observers::on_evaluation(const EvaluationMetrics& event) {
  for (const auto& observer : all_) observer->on_evaluation(event);
}
void Observers::on_checkpoint(const SavedCheckpoint& event) {
  for (const auto& observer : all_) observer->on_checkpoint(event);
}
void Observers::flush() {
  for (const auto& observer : all_) observer->flush();
}
void Observers::on_end(const RunSummary& event) {
  for (const auto& observer : all_) observer->on_end(event);
}

}  // namespace longhaul::train
