#include "train/trainer/replay.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/checkpoint/journal.h"
#include "train/trainer/from_config.h"
#include "train/trainer/prepare.h"
#include "train/trainer/trainer.h"

namespace longhaul::train {
namespace {

uint64_t bits(double value) { return std::bit_cast<uint64_t>(value); }

std::optional<checkpoint::FoundCheckpoint> sound(const io::Path& checkpoints, int64_t step) {
  checkpoint::FoundCheckpoint found{
      .folder = checkpoints / checkpoint::folder_name(step), .step = step, .manifest = {}, .skipped = {}};
  if (!checkpoint::verify(found.folder).empty()) return std::nullopt;
  return found;
}

/// The newest sound checkpoint of a step before `step`; nothing: the run is repeated from its start.
std::optional<checkpoint::FoundCheckpoint> newest_before(const io::Path& checkpoints, int64_t step) {
  std::vector<int64_t> steps = checkpoint::steps_of(checkpoints);
  std::reverse(steps.begin(), steps.end());
  for (const int64_t candidate : steps) {
    if (candidate >= step) continue;
    if (auto found = sound(checkpoints, candidate)) return found;
  }
  return std::nullopt;
}

/// The first checkpoint of `step` or later, which holds the same weights when all steps in between were skipped.
std::optional<checkpoint::FoundCheckpoint> first_after(const io::Path& checkpoints, int64_t step) {
  for (const int64_t candidate : checkpoint::steps_of(checkpoints)) {
    if (candidate >= step) return sound(checkpoints, candidate);
  }
  return std::nullopt;
}

}  // namespace

Replayed replay_step(const io::Path& run, int64_t step) {
  const RunFolder folder(run);
  check<ConfigError>(folder.is_run(), "[replay] {} holds no run\n  hint: give the folder that train wrote", run.string());
  Prepared prepared = prepare_replay(folder);
  set_thread_count(thread_count(prepared.config));
  const std::vector<checkpoint::JournalEntry> journal = checkpoint::read_journal(folder.journal());
  const auto reached = static_cast<int64_t>(journal.size());
  if (step == 0) step = reached;
  check<ConfigError>(step >= 1 && step <= reached, "[replay] step {} is not among the {} steps of {}", step, reached,
                     run.string());

  Replayed out;
  out.step = step;
  out.journal_loss = journal[static_cast<size_t>(step - 1)].loss;
  out.first_sample = step > 1 ? journal[static_cast<size_t>(step - 2)].cursor : 0;
  out.last_sample = journal[static_cast<size_t>(step - 1)].cursor - 1;
  const TrainingOptions options;
  std::optional<Trainer> trainer;
  const auto start_from = [&](std::optional<checkpoint::FoundCheckpoint> from) {
    trainer.reset();
    prepared.from = std::move(from);
    out.from_step = prepared.from ? prepared.from->step : 0;
    trainer.emplace(prepared, options);
    trainer->take_state();
  };
  if (auto later = first_after(folder.checkpoints(), step)) start_from(std::move(later));
  if (!trainer || !trainer->holds_weights_before(step)) start_from(newest_before(folder.checkpoints(), step));
  out.outcome = trainer->replay(step, out.first_sample);
  out.same = bits(out.outcome.loss) == bits(out.journal_loss);
  return out;
}

std::string replay_text(const Replayed& r) {
  std::string text = fmt::format("step {}, samples {}..{}, from {}\nloss {} ({:016x}), {}\ngradient norm {}", r.step,
                                 r.first_sample, r.last_sample,
                                 r.from_step > 0 ? fmt::format("the checkpoint of step {}", r.from_step)
                                                 : std::string("the start of the run"),
                                 r.outcome.loss, bits(r.outcome.loss),
                                 r.same ? std::string("the same bits as in the journal")
                                        : fmt::format("the journal says {} ({:016x})", r.journal_loss, bits(r.journal_loss)),
                                 r.outcome.grad_norm);
  text += r.outcome.skipped ? "\nskipped: " + r.outcome.reason : std::string("\ntaken");
  return text;
}

std::string replay_json(const Replayed& r) {
  using Json = nlohmann::ordered_json;
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  return Json{{"step", r.step},
              {"from_step", r.from_step},
              {"samples", {r.first_sample, r.last_sample}},
              {"loss", number(r.outcome.loss)},
              {"loss_bits", fmt::format("{:016x}", bits(r.outcome.loss))},
              {"journal_bits", fmt::format("{:016x}", bits(r.journal_loss))},
              {"same", r.same},
              {"grad_norm", number(r.outcome.grad_norm)},
              {"skipped", r.outcome.skipped},
              {"reason", r.outcome.reason}}
      .dump();
}

}  // namespace longhaul::train
