// Random delays: before and after each collective of a rank, and in any thread of the process at
// any instruction. The result of a job must not depend on delays.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <thread>

#include "collectives/forwarding_communicator.hpp"

namespace keyshard::testing {

/// Sleeps for up to 300 us before and after each collective of another communicator; rank and seed
/// determine how long.
class DelayedCommunicator final : public ForwardingCommunicator {
 public:
  DelayedCommunicator(Communicator<Cpu>& inner, unsigned seed)
      : ForwardingCommunicator(inner), random_(seed * 1000 + static_cast<unsigned>(inner.rank())) {}

  void all_to_all(Stream<Cpu>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override;
  void all_to_all_values(Span<const std::int64_t> send, Span<std::int64_t> receive) override;
  void all_gather(Span<const std::byte> mine, Span<std::byte> all) override;
  void broadcast(Span<std::byte> inout, int root) override;
  void all_reduce(Span<std::int64_t> inout, Reduction operation) override;
  void all_reduce(Span<double> inout, Reduction operation) override;
  void barrier() override;

 private:
  /// Sleeps, does what `collective` does, sleeps.
  template <class Collective>
  void delay_around(const Collective& collective);
  void sleep();

  std::mt19937 random_;
};

/// While an object of this class lives, threads of this process, drawn at random, are stopped for
/// up to 300 us at any instruction, one thread at a time.
class ThreadDelays {
 public:
  explicit ThreadDelays(unsigned seed);
  ~ThreadDelays();
  ThreadDelays(const ThreadDelays&) = delete;
  ThreadDelays& operator=(const ThreadDelays&) = delete;

  /// Threads that were stopped so far.
  std::int64_t count() const noexcept { return count_; }

 private:
  void run(unsigned seed);

  std::atomic<bool> ending_{false};
  std::atomic<std::int64_t> count_{0};
  std::thread thread_;
};

}  // namespace keyshard::testing
