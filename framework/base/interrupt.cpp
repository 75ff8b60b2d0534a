#include "framework/base/interrupt.h"

#include <atomic>

namespace longhaul {
namespace {

std::atomic<int (*)()> current{nullptr};

}  // namespace

Interruptible::Interruptible(int (*asked)()) : before_(current.exchange(asked)) {}
Interruptible::~Interruptible() { current = before_; }

void poll_interrupt() {
  int (*asked)() = current.load();
  if (asked == nullptr) return;
  if (const int signal = asked()) throw Interrupted{signal};
}

}  // namespace longhaul
