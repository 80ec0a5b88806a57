#include "launch/stop_signal.hpp"

#include <csignal>
#include <thread>

#include <unistd.h>

namespace keyshard {
namespace {

// A handler can reach only global state. This is the one variable that belongs to the whole
// process.
volatile std::sig_atomic_t requested = 0;

void note(int) { requested = 1; }

}  // namespace

void take_stop_signals_on_own_thread() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGUSR1, SIGTERM, SIGHUP}) {
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals] {
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    for (;;) {
      ::pause();
    }
  }).detach();
}

void watch_stop_signals() {
  struct sigaction action {};

  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);

  // nohup has a process ignore the end of its terminal.
  struct sigaction hangup {};

  if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
    sigaction(SIGHUP, &action, nullptr);
  }
}

void write_errors_in_place_of_signals() { std::signal(SIGXFSZ, SIG_IGN); }

bool stop_requested() noexcept { return requested != 0; }

}  // namespace keyshard
