#include "train/trainer/signals.h"

#include <csignal>
#include <initializer_list>

namespace longhaul::train {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;
volatile std::sig_atomic_t asked_to_save = 0;

extern "C" void remember_stop(int number) {
  if (asked_to_stop == 0) asked_to_stop = number;
}
extern "C" void remember_save(int) { asked_to_save = 1; }

struct sigaction previous_term, previous_int, previous_save;

void install(int number, void (*handler)(int), struct sigaction& previous) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // system calls in library code that knows nothing of signals go on
  sigaction(number, &action, &previous);
}

}  // namespace

SignalScope::SignalScope() {
  asked_to_stop = 0;
  asked_to_save = 0;
  install(SIGTERM, remember_stop, previous_term);
  install(SIGINT, remember_stop, previous_int);
  install(SIGUSR1, remember_save, previous_save);
}

SignalScope::~SignalScope() {
  sigaction(SIGTERM, &previous_term, nullptr);
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGUSR1, &previous_save, nullptr);
  asked_to_stop = 0;
  asked_to_save = 0;
}

int stop_signal() { return asked_to_stop; }

bool take_save_request() {
  if (asked_to_save == 0) return false;
  asked_to_save = 0;
  return true;
}

void block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void poll_stop() {
  if (const int number = stop_signal()) throw StopRequested{number};
}

}  // namespace longhaul::train
