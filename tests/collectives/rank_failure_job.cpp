// A small job under mpirun in which the last rank fails in the way that the argument names. Prints
// the message of an abort on stderr, and ends like a program of keyshard.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "collectives/mpi_session.hpp"
#include "collectives/watchdog.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

void show(std::string_view why) { fmt::print(stderr, "abort: {}\n", why); }

/// Rank 0 expects more bytes from the last rank than the last rank sends.
void exchange_short(Communicator<Cpu>& communicator) {
  const int last = communicator.size() - 1;
  std::vector<std::int64_t> send_bytes(static_cast<std::size_t>(communicator.size()));
  std::vector<std::int64_t> receive_bytes(send_bytes);
  if (communicator.rank() == last) {
    send_bytes[0] = 4;
  }
  if (communicator.rank() == 0) {
    receive_bytes[static_cast<std::size_t>(last)] = 8;
  }
  std::vector<std::byte> bytes(8), received(8);
  Stream<Cpu> stream;
  communicator.all_to_all(stream, bytes, send_bytes, received, receive_bytes);
}

void fail_as(const std::string& way, Communicator<Cpu>& communicator) {
  if (way == "short") {
    exchange_short(communicator);
  }
  if (communicator.rank() != communicator.size() - 1) {
    return;
  }
  require(way != "throw", Kind::io, "the disk is full");
  const InPhase phase(communicator.progress(),
                      way == "stop-saving" ? Phase::saving : Phase::reading);
  if (way == "kill") {
    std::raise(SIGKILL);
  } else if (way.starts_with("stop")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // for a beat to tell the phase
    std::raise(SIGSTOP);
  }
}

int run(const std::string& way) {
  MpiSession session;
  const auto world = session.world({.on_abort = show});
  if (way == "stop-despite-term") {
    std::signal(SIGTERM, [](int) {});  // as a program that saves before it ends
  }
  try {
    Watchdog watchdog(world->duplicate(), world->progress(), {{2, 600}, 50},
                      [&](const std::string& message) { world->abort(message, 70); });
    for (int step = 0; step < 100; ++step) {
      world->barrier();
    }
    fail_as(way, *world);
    for (int step = 0; step < 100; ++step) {
      world->barrier();
    }
    watchdog.end();
  } catch (const Error& error) {
    world->abort(fmt::format("rank {}: {}", world->rank(), error.text()), 1);
  }
  return 0;
}

}  // namespace
}  // namespace keyshard

int main(int argc, char** argv) { return keyshard::run(argc > 1 ? argv[1] : ""); }
