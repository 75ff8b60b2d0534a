// defines: SignalScope, stop_signal, take_save_request, StopRequested
#pragma once

namespace longhaul::train {

/// While it lives, SIGTERM and SIGINT ask for a stop and SIGUSR1 for a save; the handlers set a flag and do nothing
/// else, however often they are called. Whoever works for long polls the flags. Scopes do not nest.
/// Threads made while it lives inherit these handlers; background threads block the three signals (block_signals).
class SignalScope {
 public:
  SignalScope();
  ~SignalScope();
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;
};

/// SIGTERM or SIGINT when a stop was asked for, the first of them; else 0.
int stop_signal();
/// True once for each save that was asked for.
bool take_save_request();
/// Blocks the three signals on the calling thread.
void block_signals();

/// Leaves the start of a run, where nothing is to be saved.
struct StopRequested {
  int signal = 0;
};
/// throws StopRequested when a stop was asked for
void poll_stop();

}  // namespace longhaul::train
