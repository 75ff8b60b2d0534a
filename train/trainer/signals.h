// defines: SignalScope, stop_signal, take_save_request
#pragma once

namespace longhaul::train {

/// While it lives, SIGTERM and SIGINT ask for a stop and SIGUSR1 for a save; the handlers set a flag and do nothing
/// else, however often they are called. Whoever works for long polls the flags. A scope inside another does nothing.
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

}  // namespace longhaul::train
