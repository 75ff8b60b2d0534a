#include "train/trainer/signals.h"

#include <atomic>
#include <csignal>
#include <initializer_list>

namespace longhaul::train {
namespace {

// Handlers run on any thread of the process.
std::atomic<int> asked_to_stop{0};
std::atomic<bool> asked_to_save{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

extern "C" void remember_stop(int number) {
  int none = 0;
  asked_to_stop.compare_exchange_strong(none, number);
}
extern "C" void remember_save(int) { asked_to_save = true; }

struct sigaction previous_term, previous_int, previous_save;
int scopes = 0;

void install(int number, void (*handler)(int), struct sigaction& previous) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // system calls in library code that knows nothing of signals go on
  sigaction(number, &action, &previous);
}

}  // namespace

SignalScope::SignalScope() {
  if (scopes++ > 0) return;
  asked_to_stop = 0;
  asked_to_save = false;
  install(SIGTERM, remember_stop, previous_term);
  install(SIGINT, remember_stop, previous_int);
  install(SIGUSR1, remember_save, previous_save);
}

SignalScope::~SignalScope() {
  if (--scopes > 0) return;
  sigaction(SIGTERM, &previous_term, nullptr);
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGUSR1, &previous_save, nullptr);
  asked_to_stop = 0;
  asked_to_save = false;
}

int stop_signal() { return asked_to_stop; }

bool take_save_request() { return asked_to_save.exchange(false); }

}  // namespace longhaul::train
