// defines: Interrupted, Interruptible, poll_interrupt
#pragma once

namespace longhaul {

/// Thrown to leave long preparations (reading text, training a tokenizer, loading, planning) when a signal asked for a
/// stop. Not an Error: nothing is wrong, and nothing that was begun must be finished.
struct Interrupted {
  int signal = 0;
};

/// While it lives, poll_interrupt asks `asked`: the number of the signal that asked for a stop, or 0. Scopes nest; the
/// innermost decides, and a null function shields what it covers.
class Interruptible {
 public:
  explicit Interruptible(int (*asked)());
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  int (*before_)();
};

/// Work that may take seconds calls this often; every read of the I/O layer does.
/// throws Interrupted when a stop was asked for and an Interruptible lives
void poll_interrupt();

}  // namespace longhaul
