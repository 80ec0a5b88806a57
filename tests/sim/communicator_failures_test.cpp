// Failures of ranks that exchange device data: each is an Error on all ranks that names the rank
// which failed, and no rank hangs. Processes that are killed or stopped: nccl_failure_test.cpp.
#include <future>
#include <mutex>

#include "collectives/nccl_communicator.hpp"
#include "collectives/vote.hpp"
#include "collectives/watchdog.hpp"
#include "runtime/error.hpp"
#include "tests/sim/device_ranks.hpp"
#include "tests/sim/nccl.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard::testing {
namespace {

using Bytes = std::vector<std::int64_t>;

std::int64_t total(const Bytes& bytes) {
  std::int64_t sum = 0;
  for (const std::int64_t part : bytes) {
    sum += part;
  }
  return sum;
}

/// Sends and receives parts of these sizes, and waits.
void exchange(Communicator<Cuda>& communicator, Stream<Cuda>& stream, const Bytes& send_bytes,
              const Bytes& receive_bytes) {
  Buffer<std::byte, Cuda> send(stream, total(send_bytes)), receive(stream, total(receive_bytes));
  zero_bytes(stream, send.data(), static_cast<std::size_t>(send.size()));
  communicator.all_to_all(stream, send.span(), send_bytes, receive.span(), receive_bytes);
  stream.wait();
}

void exchange_equal(Communicator<Cuda>& communicator, Stream<Cuda>& stream, std::int64_t bytes) {
  const Bytes all(static_cast<std::size_t>(communicator.size()), bytes);
  exchange(communicator, stream, all, all);
}

void expect_each_says(const std::vector<std::string>& texts, const std::string& what) {
  for (const std::string& text : texts) {
    EXPECT_NE(text.find(what), std::string::npos) << "expected: " << what << "\nfound: " << text;
  }
}

class DeviceRankFailure : public SimTest {
 protected:
  void TearDown() override {
    sim::set_peers_noticed(true);
    SimTest::TearDown();
  }
};

TEST_F(DeviceRankFailure, AnAbortEndsTheExchangesOfAllRanks) {
  sim::set_peers_noticed(false);
  for (const Way way : {Way::nccl, Way::staged}) {
    for_seeds(5, [&](int) {
      const auto texts = texts_of_device_ranks(way, 3, [](auto& communicator, auto& stream) {
        exchange_equal(communicator, stream, 8);
        if (communicator.rank() == 1) {
          communicator.abort("the disk is full", 1);
        }
        exchange_equal(communicator, stream, 8);
      });
      EXPECT_EQ(texts, std::vector<std::string>(3, "rank 1: the disk is full"));
    });
  }
}

TEST_F(DeviceRankFailure, AnAbortEndsThoseWhoStillConnect) {
  auto texts = texts_of_device_ranks(Way::staged, 3, [](auto& communicator, auto&) {
    Communicator<Cpu>& host = host_of(communicator);
    if (host.rank() != 1) {
      make_nccl_communicator(host, 0);
    }
    // Rank 1 takes part in the messages before NCCL, and never comes to it.
    vote(host, [] {});
    std::byte id[128];
    host.broadcast(Span<std::byte>(id), 0);
    host.abort("the disk is full", 1);
    host.barrier();
  });
  EXPECT_EQ(texts, std::vector<std::string>(3, "rank 1: the disk is full"));
}

TEST_F(DeviceRankFailure, AnotherSizeOnOneSideNamesBothRanks) {
  sim::set_peers_noticed(false);  // the cause comes to all, not that its rank has left
  for_seeds(5, [](int) {
    const auto texts = texts_of_device_ranks(Way::nccl, 3, [](auto& communicator, auto& stream) {
      exchange_equal(communicator, stream, 8);
      const bool sends = communicator.rank() == 0, receives = communicator.rank() == 2;
      exchange(communicator, stream, Bytes(3, sends ? 4 : 0), {receives ? 8 : 4, 0, 0});
      communicator.barrier();
    });
    expect_each_says(texts, "NCCL failed on rank ");
    expect_each_says(texts, "in phase ");
    expect_each_says(texts, "rank 2 expects 8 bytes of rank 0");
    expect_each_says(texts, "found 4 bytes");
  });
}

TEST_F(DeviceRankFailure, APartThatNobodyReceivesIsFoundAtTheEnd) {
  const auto texts = texts_of_device_ranks(Way::nccl, 2, [](auto& communicator, auto& stream) {
    const bool sends = communicator.rank() == 0;
    exchange(communicator, stream, {0, sends ? 4 : 0}, {0, 0});
  });
  EXPECT_EQ(texts, std::vector<std::string>(2));
  EXPECT_EQ(sim::device_failure(), "rank 0 has sent what rank 1 does not receive");
  sim::reset_device({});
}

TEST_F(DeviceRankFailure, OtherSizesForTheRankItselfAreRefused) {
  sim::set_peers_noticed(false);  // the cause comes to all, not that its rank has left
  const auto texts = texts_of_device_ranks(Way::nccl, 2, [](auto& communicator, auto& stream) {
    exchange(communicator, stream, Bytes{4, 4},
             communicator.rank() == 1 ? Bytes{4, 8} : Bytes{4, 4});
  });
  expect_each_says(texts, "expected 8 bytes of rank 1 for itself: found 4");
}

TEST_F(DeviceRankFailure, ExchangesInAnotherOrderOnOneRankNameThatRank) {
  sim::set_peers_noticed(false);  // the cause comes to all, not that its rank has left
  for_seeds(5, [](int) {
    const auto texts = texts_of_device_ranks(Way::nccl, 3, [](auto& communicator, auto& stream) {
      const bool other = communicator.rank() == 1;
      exchange_equal(communicator, stream, other ? 8 : 16);
      exchange_equal(communicator, stream, other ? 16 : 8);
    });
    for (const std::string& text : texts) {
      EXPECT_TRUE(text.find("bytes of rank 1") != std::string::npos ||
                  text.find("rank 1 expects") != std::string::npos)
          << text;
    }
  });
}

TEST_F(DeviceRankFailure, MemoryOfTheHostIsRefusedByNccl) {
  sim::set_peers_noticed(false);  // the cause comes to all, not that its rank has left
  for_seeds(5, [](int) {
    const auto texts = texts_of_device_ranks(Way::nccl, 3, [](auto& communicator, auto& stream) {
      exchange_equal(communicator, stream, 8);
      if (communicator.rank() == 1) {
        const std::vector<std::byte> host(24);
        Buffer<std::byte, Cuda> receive(stream, 24);
        communicator.all_to_all(stream, host, Bytes(3, 8), receive.span(), Bytes(3, 8));
      } else {
        exchange_equal(communicator, stream, 8);
      }
    });
    expect_each_says(texts,
                     "NCCL failed on rank 1 in phase exchanging: ncclSend with rank 0: invalid "
                     "argument");
  });
}

TEST_F(DeviceRankFailure, ADeadPeerIsNamedByThoseWhoWaitForIt) {
  for_seeds(5, [](int) {
    const auto texts = texts_of_device_ranks(Way::nccl, 3, [](auto& communicator, auto& stream) {
      exchange_equal(communicator, stream, 8);
      if (communicator.rank() == 2) {
        throw Died();
      }
      exchange_equal(communicator, stream, 8);
    });
    EXPECT_EQ(texts[2], "");
    expect_each_says({texts[0], texts[1]}, "rank 2 has left");
  });
}

TEST_F(DeviceRankFailure, EveryLaterCallFailsInTheSameWay) {
  const auto texts = texts_of_device_ranks(Way::nccl, 2, [](auto& communicator, auto& stream) {
    if (communicator.rank() == 1) {
      throw Died();
    }
    std::vector<std::string> all;
    for (int call = 0; call < 3; ++call) {
      try {
        exchange_equal(communicator, stream, 8);
      } catch (const Error& error) {
        all.push_back(error.text());
      }
    }
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[1], all[0]);
    EXPECT_EQ(all[2], all[0]);
    EXPECT_NE(all[0].find("rank 1 has left"), std::string::npos) << all[0];
    EXPECT_THROW(stream.wait(), Error);  // what the exchange should have brought is not there
  });
  EXPECT_EQ(texts, std::vector<std::string>(2));
}

/// Three ranks with a watchdog, of which rank 1 fails in `fail_as` after an exchange, while the
/// others wait for the next one. NCCL notices nothing.
std::vector<std::string> watched_ranks(const std::function<void(Communicator<Cuda>&)>& fail_as,
                                       const std::function<void()>& on_stuck) {
  sim::set_peers_noticed(false);
  return texts_of_device_ranks(Way::nccl, 3, [&](auto& communicator, auto& stream) {
    Watchdog watchdog(host_of(communicator).duplicate(), communicator.progress(), {{2, 600}, 20},
                      [&](const std::string& message) {
                        communicator.abort(message, 70);
                        on_stuck();
                      });
    communicator.progress().enter(Phase::computing);
    exchange_equal(communicator, stream, 8);
    if (communicator.rank() == 1) {
      fail_as(communicator);
    }
    exchange_equal(communicator, stream, 8);
    watchdog.end();
  });
}

TEST_F(DeviceRankFailure, AStoppedPeerIsNamedByTheWatchdogAndThoseWhoWaitAreNot) {
  std::promise<void> released;
  const std::shared_future<void> release = released.get_future().share();
  std::once_flag once;
  const auto texts = watched_ranks([&](Communicator<Cuda>&) { release.wait(); },
                                   [&] { std::call_once(once, [&] { released.set_value(); }); });
  expect_each_says(texts, "rank 1 is stuck in phase computing for 2 s (no progress)");
}

TEST_F(DeviceRankFailure, ADeadPeerThatNcclDoesNotNoticeIsNamedByTheWatchdog) {
  const auto texts = watched_ranks([](Communicator<Cuda>&) { throw Died(); }, [] {});
  EXPECT_EQ(texts[1], "");
  expect_each_says({texts[0], texts[2]}, "rank 1 is stuck in phase");
  expect_each_says({texts[0], texts[2]}, "its process gives no sign of life");
}

}  // namespace
}  // namespace keyshard::testing
