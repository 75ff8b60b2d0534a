#include "train/trainer/run_folder.h"

#include "framework/base/error.h"

namespace longhaul::train {

bool RunFolder::is_run() const { return io::exists(config()); }

RunInfo RunFolder::read_info() const {
  check<CheckpointError>(io::exists(info()),
                         "[run] {}: config.yaml is there, run.json is not\n"
                         "  hint: put it back, or continue in a new folder with --run DIR --init-from {}",
                         path_.string(), path_.string());
  return RunInfo::from_json(io::read_file(info()), info().string());
}

void RunFolder::write_info(const RunInfo& written) const { io::replace_file(info(), written.to_json()); }

void RunFolder::write_config(const std::string& yaml) const { io::replace_file(config(), yaml); }

void RunFolder::try_out() const {
  const io::Path probe = checkpoints() / ".try";
  io::replace_file(probe, "a run tries here whether it can write, sync and rename\n");
  io::unlink(probe);
}

}  // namespace longhaul::train
