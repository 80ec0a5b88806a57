// Memory, queues and events of the simulated device.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>

#include "runtime/cuda_call.hpp"
#include "runtime/event.hpp"
#include "runtime/for_each_cuda.hpp"
#include "runtime/pinned_memory.hpp"
#include "runtime/stream_timer.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard {
namespace {

using testing::for_seeds;
using testing::seeds_of_test;
using Device = testing::SimTest;

struct AddOne {
  const std::int64_t* from;
  std::int64_t* to;

  KEYSHARD_HD void operator()(std::int64_t i) const { to[i] = from[i] + 1; }
};

TEST_F(Device, WorkOfAStreamRunsInOrder) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    const std::vector<std::int64_t> zero(100);
    Buffer<std::int64_t, Cuda> a = to_device(stream, zero), b(stream, 100);
    for (int round = 0; round < 3; ++round) {
      for_each(stream, 100, AddOne{a.data(), b.data()});
      for_each(stream, 100, AddOne{b.data(), a.data()});
    }
    EXPECT_EQ(to_host(stream, a), std::vector<std::int64_t>(100, 6));
  });
}

/// Sums through two streams, with or without the event that orders them. Returns whether the result
/// is right.
bool handed_over(bool ordered) {
  Stream<Cuda> first(0), second(0);
  const std::vector<std::int64_t> zero(10);
  Buffer<std::int64_t, Cuda> a = to_device(first, zero), b(first, 10), c(second, 10);
  first.wait();
  Event<Cuda> done;
  for_each(first, 10, AddOne{a.data(), b.data()});
  done.record(first);
  if (ordered) {
    done.hold(second);
  }
  for_each(second, 10, AddOne{b.data(), c.data()});
  const bool right = to_host(second, c) == std::vector<std::int64_t>(10, 2);
  first.wait();
  second.wait();
  return right;
}

TEST_F(Device, AStreamThatDoesNotWaitForAnotherReadsGarbage) {
  int wrong = 0;
  for_seeds(20, [&](int) {
    EXPECT_TRUE(handed_over(true));
    wrong += handed_over(false) ? 0 : 1;
  });
  EXPECT_GE(
      wrong,
      20);  // every time where the newest queue goes first, and now and then where queues are drawn
}

TEST_F(Device, WorkRunsWhenTheHostWaitsAndNotBefore) {
  Stream<Cuda> stream(0);
  Buffer<std::int64_t, Cuda> a(stream, 10), b(stream, 10);
  fill_zero(stream, a.data(), 10);
  for_each(stream, 10, AddOne{a.data(), b.data()});
  const std::int64_t before = sim::operations();
  EXPECT_EQ(sim::queued(), 2);
  stream.wait();
  EXPECT_EQ(sim::operations() - before, 2);
  EXPECT_EQ(stream.launches(), 1);
}

TEST_F(Device, ATimerRunsFromTheWorkBeforeItToTheEndOfItsOwn) {
  Stream<Cuda> stream(0);
  Buffer<std::int64_t, Cuda> a(stream, 10), b(stream, 10);
  StreamTimer<Cuda> timer(stream);
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 2; ++round) {  // a timer serves many times
    fill_zero(stream, a.data(), 10);
    timer.start();
    for_each(stream, 10, AddOne{a.data(), b.data()});
    EXPECT_EQ(sim::queued(), 3);  // the call waits for nothing
    const double seconds = timer.stop();
    EXPECT_EQ(sim::queued(), 0);
    EXPECT_GT(seconds, 0);
    EXPECT_LE(seconds,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
}

TEST_F(Device, ATimerThatWasNotStartedIsAnError) {
  Stream<Cuda> stream(0);
  EXPECT_THROW(StreamTimer<Cuda>(stream).stop(), Error);
}

/// Peers that come, or fail at the n-th check.
struct SomePeers final : Peers {
  void check() override {
    waited = waited || progress_.waiting();
    require(++checks != fails_at, Kind::communication, "a peer has gone");
  }

  Progress& progress() noexcept override { return progress_; }

  int checks = 0, fails_at = 0;
  bool waited = false;
  Progress progress_;
};

TEST_F(Device, AHostThatWaitsAsksForThePeersOfItsStream) {
  Stream<Cuda> first(0), second(0);
  Event<Cuda> done;
  const auto peers = std::make_shared<SomePeers>();
  first.peer_waits().add(peers);
  Buffer<float, Cuda> floats(first, 10);
  fill_zero(first, floats.data(), 10);
  done.record(first);
  done.hold(second);
  for (const auto& wait : std::vector<std::function<void()>>{
           [&] { second.wait(); }, [&] { done.wait(); },
           [&] { EXPECT_EQ(to_host(first, floats), std::vector<float>(10)); }}) {
    peers->checks = 0;
    peers->waited = false;
    wait();
    EXPECT_GT(peers->checks, 0);
    EXPECT_TRUE(peers->waited);
    EXPECT_FALSE(peers->progress_.waiting());
  }
  const int before = peers->checks;
  first.wait();
  EXPECT_EQ(peers->checks, before);  // all work that waits for peers was waited for
}

TEST_F(Device, AFailedPeerEndsTheWaitThoughTheWorkIsDone) {
  Stream<Cuda> stream(0);
  const auto peers = std::make_shared<SomePeers>();
  peers->fails_at = 1;
  stream.wait();
  stream.peer_waits().add(peers);
  EXPECT_THROW(stream.wait(), Error);
  EXPECT_FALSE(peers->progress_.waiting());
}

TEST_F(Device, FreshMemoryIsNaN) {
  Stream<Cuda> stream(0);
  Buffer<float, Cuda> floats(stream, 100);
  for (const float value : to_host(stream, floats)) {
    EXPECT_TRUE(std::isnan(value));
  }
}

TEST_F(Device, PageableMemoryMayGoWhenACopyHasBeenGiven) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    std::vector<std::int64_t> host(10, 4);
    Buffer<std::int64_t, Cuda> device = to_device(stream, host);
    host.assign(10, 5);
    EXPECT_EQ(to_host(stream, device), std::vector<std::int64_t>(10, 4));
  });
}

/// Pinned memory is read when the queue comes to the copy: what is written there too early travels.
TEST_F(Device, StagingThatIsUsedAgainTooEarlyIsSeen) {
  int wrong = 0;
  for_seeds(20, [&](int) {
    Stream<Cuda> stream(0);
    PinnedMemory staging;
    auto* numbers = reinterpret_cast<std::int64_t*>(staging.room(30 * 8).data());
    std::fill_n(numbers, 30, 4);
    Buffer<std::int64_t, Cuda> device(stream, 10);
    copy_to_device(stream, numbers + 20, 10, device.data());  // in the middle of the block, too
    std::fill_n(numbers, 30, 5);
    wrong += to_host(stream, device) == std::vector<std::int64_t>(10, 4) ? 0 : 1;
    std::fill_n(numbers, 30, 6);
    copy_to_device(stream, numbers, 10, device.data());
    stream.wait();
    std::fill_n(numbers, 30, 7);
    EXPECT_EQ(to_host(stream, device), std::vector<std::int64_t>(10, 6));
  });
  EXPECT_EQ(wrong, 2 * seeds_of_test(20));
}

TEST_F(Device, AResultThatIsReadBeforeTheWaitIsSeen) {
  int wrong = 0;
  for_seeds(20, [&](int) {
    Stream<Cuda> stream(0);
    PinnedMemory pinned;
    auto* result = reinterpret_cast<std::int64_t*>(pinned.room(80).data());
    std::fill_n(result, 10, 0);
    Buffer<std::int64_t, Cuda> device = to_device(stream, std::vector<std::int64_t>(10, 4));
    check_cuda(cudaMemcpyAsync(result, device.data(), 80, cudaMemcpyDeviceToHost, stream.handle()),
               "cudaMemcpyAsync");
    wrong += result[0] == 4 ? 0 : 1;
    stream.wait();
    EXPECT_EQ(result[0], 4);
  });
  EXPECT_EQ(wrong, 2 * seeds_of_test(20));
}

/// Memory that one queue gives back while another one still has work on it.
void free_while_queued() {
  sim::reset_device({.queues = sim::Queues::newest_first});
  Stream<Cuda> user(0), owner(0);
  Buffer<std::int64_t, Cuda> to(user, 10);
  auto from = std::make_unique<Buffer<std::int64_t, Cuda>>(owner, 10);
  fill_zero(owner, from->data(), 10);
  owner.wait();
  for_each(user, 10, AddOne{from->data(), to.data()});
  from.reset();
  owner.wait();
  user.wait();
}

TEST_F(Device, MemoryThatIsFreedWhileWorkOnItIsQueuedIsFound) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(free_while_queued(), "");
}

TEST_F(Device, ACopyBetweenWrongKindsOfMemoryIsRefused) {
  Stream<Cuda> stream(0);
  Buffer<std::int64_t, Cuda> device(stream, 10);
  std::vector<std::int64_t> host(10);
  try {
    copy(stream, host.data(), 10, device.data());
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::device);
    EXPECT_NE(error.text().find("cudaMemcpyAsync"), std::string::npos);
  }
}

TEST_F(Device, AHostThatTouchesMemoryOfTheDeviceDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Stream<Cuda> stream(0);
  Buffer<std::int64_t, Cuda> device(stream, 10);
  fill_zero(stream, device.data(), 10);
  stream.wait();
  EXPECT_DEATH(static_cast<volatile std::int64_t*>(device.data())[0] = 1, "");
}

TEST_F(Device, ADeviceThatTheProcessLacksIsRefused) { EXPECT_THROW(Stream<Cuda>(1), Error); }

}  // namespace
}  // namespace keyshard
