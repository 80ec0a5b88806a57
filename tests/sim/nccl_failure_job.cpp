// A small job under mpirun over simulated devices and the doubled NCCL, in which the last rank
// fails in the way that the argument names. Prints the message of an abort on stderr, and ends like
// a program of keyshard.
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "collectives/mpi_session.hpp"
#include "collectives/nccl_communicator.hpp"
#include "collectives/watchdog.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "tests/sim/nccl.hpp"

namespace keyshard {
namespace {

/// Exchanges 64 bytes between any two ranks; with `short_part` the last rank sends half of that to
/// rank 0.
void exchange(Communicator<Cuda>& communicator, Stream<Cuda>& stream, bool short_part) {
  std::vector<std::int64_t> send_bytes(static_cast<std::size_t>(communicator.size()), 64);
  const std::vector<std::int64_t> receive_bytes = send_bytes;
  const std::int64_t all = 64 * communicator.size();
  Buffer<std::byte, Cuda> send(stream, all), receive(stream, all);
  zero_bytes(stream, send.data(), static_cast<std::size_t>(all));
  if (short_part && communicator.rank() == communicator.size() - 1) {
    send_bytes[0] = 32;
  }
  communicator.all_to_all(stream, send.span(), send_bytes, receive.span(), receive_bytes);
  stream.wait();
}

void fail_as(const std::string& way, Communicator<Cuda>& communicator) {
  if (communicator.rank() != communicator.size() - 1) {
    return;
  }
  require(way != "throw", Kind::io, "the disk is full");
  const InPhase phase(communicator.progress(), Phase::reading);
  if (way == "kill") {
    std::raise(SIGKILL);
  } else if (way == "stop") {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // for a beat to tell the phase
    std::raise(SIGSTOP);
  }
}

int run(const std::string& way) {
  sim::set_peers_noticed(false);
  MpiSession session;
  const auto world = session.world(
      {.on_abort = [](std::string_view why) { fmt::print(stderr, "abort: {}\n", why); }});
  try {
    Watchdog watchdog(world->duplicate(), world->progress(), {{2, 600}, 50},
                      [&](const std::string& message) { world->abort(message, 70); });
    const auto communicator = make_nccl_communicator(*world, 0);
    Stream<Cuda> stream(0);
    for (int step = 0; step < 20; ++step) {
      exchange(*communicator, stream, false);
    }
    fail_as(way, *communicator);
    for (int step = 0; step < 20; ++step) {
      exchange(*communicator, stream, way == "short");
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
