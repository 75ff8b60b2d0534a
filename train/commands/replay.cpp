#include "train/commands/replay.h"

#include "train/trainer/replay.h"

namespace longhaul::cli {

int run_replay(const ReplayOptions& options, Console& console) {
  const train::Replayed replayed = train::replay_step(options.run, options.step);
  console.result(options.json ? train::replay_json(replayed) : train::replay_text(replayed));
  return replayed.same ? 0 : 1;
}

}  // namespace longhaul::cli
