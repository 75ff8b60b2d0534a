#include "train/trainer/saver.h"

#include <chrono>

#include "framework/base/error.h"
#include "framework/base/log.h"
#include "train/config/load.h"

namespace longhaul::train {
namespace {

// Headers, manifest, scalars and configuration beside the tensors, generously.
constexpr uint64_t kSmallFiles = 1 << 20;

}  // namespace

Saver::Saver(const Prepared& prepared, const checkpoint::StateRegistry& registry)
    : registry_(registry), folder_(prepared.folder.checkpoints()), options_(prepared.config.train.checkpoint) {
  content_.files["config.yaml"] = config::resolved_yaml(prepared.config);
  for (const auto& [name, text] : prepared.corpora.tokenizer->files()) content_.files[name] = text;
  // The same tokenizer as its public files say it.
  for (const auto& [name, text] : prepared.public_files) content_.files[name] = text;
  content_.tokenizer_hash = prepared.corpora.tokenizer->hash_hex();
  content_.data_hashes = content_hashes(prepared.corpora);
}

void Saver::check_room() const {
  uint64_t bytes = kSmallFiles;
  for (const auto& [name, text] : content_.files) bytes += text.size();
  const checkpoint::CapturedState state = checkpoint::capture(registry_);
  for (const auto& [section, tensors] : state.tensors) {
    for (const checkpoint::NamedTensor& tensor : tensors) bytes += static_cast<uint64_t>(tensor.tensor.bytes());
  }
  checkpoint::require_space(folder_, bytes, static_cast<int>(options_.keep));
}

checkpoint::Retention Saver::retention(const Counters& counters) const {
  checkpoint::Retention out{.keep = static_cast<int>(options_.keep), .pinned = {}};
  if (options_.best && counters.best_step > 0) out.pinned.push_back(counters.best_step);
  return out;
}

std::optional<SavedCheckpoint> Saver::save(const Counters& counters, int64_t cursor, bool must) {
  const auto begin = std::chrono::steady_clock::now();
  content_.step = counters.steps;
  content_.cursor = cursor;
  content_.state = checkpoint::capture(registry_);
  checkpoint::SaveReport report;
  try {
    report = checkpoint::save_checkpoint(folder_, content_, retention(counters));
  } catch (const IoError& error) {
    content_.state = {};
    if (must || ++failures_ >= kAttempts) throw;
    log::warn("[checkpoint] step {} is not saved, the next step tries again ({} of {}): {}", counters.steps, failures_,
              kAttempts, error.what());
    return std::nullopt;
  }
  content_.state = {};
  failures_ = 0;
  saved_step_ = counters.steps;
  if (!report.warning.empty()) log::warn("[checkpoint] {}", report.warning);
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  return SavedCheckpoint{.step = counters.steps,
                         .folder = report.folder.string(),
                         .bytes = static_cast<int64_t>(report.bytes),
                         .seconds = spent.count(),
                         .removed = report.removed};
}

}  // namespace longhaul::train
