// Exchanges with random counts, forward and backward: what arrives, in which order, and that every
// item returns to its sender.
#include "collectives/exchange.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "collectives/forwarding_communicator.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "tests/collectives/exchange_items.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::Counts;
using testing::item;
using testing::random_counts;
using testing::received_by;
using testing::run_ranks;
using testing::sent_by;

class ExchangeOfRanks : public ::testing::TestWithParam<int> {};

TEST_P(ExchangeOfRanks, LearnsHowManyComeFromEachRank) {
  const auto ranks = static_cast<std::size_t>(GetParam());
  for (unsigned seed = 1; seed <= 10; ++seed) {
    const Counts counts = random_counts(ranks, seed);
    run_ranks(GetParam(), 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      const auto rank = static_cast<std::size_t>(communicator.rank());
      const Exchange<Cpu> exchange(communicator, counts[rank]);
      EXPECT_EQ(exchange.send_counts(), counts[rank]);
      std::int64_t sent = 0, received = 0;
      for (std::size_t other = 0; other < ranks; ++other) {
        EXPECT_EQ(exchange.receive_counts()[other], counts[other][rank]) << "seed " << seed;
        sent += counts[rank][other];
        received += counts[other][rank];
      }
      EXPECT_EQ(exchange.sent(), sent);
      EXPECT_EQ(exchange.received(), received);
    });
  }
}

TEST_P(ExchangeOfRanks, TakesAWholeBufferAndHandsItOnWhereARankIsAlone) {
  const auto ranks = static_cast<std::size_t>(GetParam());
  const Counts counts = random_counts(ranks, 7);
  run_ranks(GetParam(), 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const auto rank = static_cast<std::size_t>(communicator.rank());
    const Exchange<Cpu> exchange(communicator, counts[rank]);
    Buffer<std::int64_t, Cpu> send = to_device(stream, sent_by(counts, rank, 1));
    const std::int64_t* before = send.data();
    Buffer<std::int64_t, Cpu> received = exchange.forward(stream, std::move(send));
    EXPECT_EQ(to_host(stream, received), received_by(counts, rank, 1));
    EXPECT_EQ(received.data() == before, ranks == 1);
    const Buffer<std::int64_t, Cpu> back = exchange.backward(stream, std::move(received));
    EXPECT_EQ(to_host(stream, back), sent_by(counts, rank, 1));
  });
}

TEST_P(ExchangeOfRanks, BringsItemsOfAnyWidthForwardAndBack) {
  const auto ranks = static_cast<std::size_t>(GetParam());
  for (unsigned seed = 1; seed <= 10; ++seed) {
    const Counts counts = random_counts(ranks, seed);
    const std::int64_t width = 1 + seed % 5;
    run_ranks(GetParam(), 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      const auto rank = static_cast<std::size_t>(communicator.rank());
      const Exchange<Cpu> exchange(communicator, counts[rank]);
      const std::vector<std::int64_t> send = sent_by(counts, rank, width);
      std::vector<std::int64_t> receive(static_cast<std::size_t>(exchange.received() * width));
      exchange.forward(stream, send.data(), receive.data(), width);
      EXPECT_EQ(receive, received_by(counts, rank, width)) << "seed " << seed;

      for (std::int64_t& value : receive) {
        value = -value;
      }
      std::vector<std::int64_t> returned(send.size());
      exchange.backward(stream, receive.data(), returned.data(), width);
      for (std::size_t i = 0; i < send.size(); ++i) {
        ASSERT_EQ(returned[i], -send[i]) << "seed " << seed;
      }
    });
  }
}

TEST_P(ExchangeOfRanks, MovesItemsOfAnySize) {
  struct Item {
    char bytes[7];
  };

  run_ranks(GetParam(), 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const auto ranks = static_cast<std::size_t>(communicator.size());
    const Exchange<Cpu> exchange(communicator, std::vector<std::int64_t>(ranks, 1));
    std::vector<Item> send(ranks), receive(ranks);
    for (std::size_t to = 0; to < ranks; ++to) {
      std::fill_n(send[to].bytes, 7, static_cast<char>(communicator.rank() * 10 + to));
    }
    exchange.forward(stream, send.data(), receive.data());
    for (std::size_t from = 0; from < ranks; ++from) {
      for (const char byte : receive[from].bytes) {
        EXPECT_EQ(byte,
                  static_cast<char>(from * 10 + static_cast<std::size_t>(communicator.rank())));
      }
    }
  });
}

TEST_P(ExchangeOfRanks, OfNothingMovesNothing) {
  run_ranks(GetParam(), 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const Exchange<Cpu> exchange(
        communicator, std::vector<std::int64_t>(static_cast<std::size_t>(communicator.size())));
    EXPECT_EQ(exchange.sent(), 0);
    EXPECT_EQ(exchange.received(), 0);
    const float* nothing = nullptr;
    float* nowhere = nullptr;
    EXPECT_NO_THROW(exchange.forward(stream, nothing, nowhere, 16));
    EXPECT_NO_THROW(exchange.backward(stream, nothing, nowhere, 16));
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, ExchangeOfRanks,
                         ::testing::ValuesIn(testing::rank_counts({1, 2, 3, 4, 8})));

/// Counts the calls of all_to_all.
class CallCounter final : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;

  void all_to_all(Stream<Cpu>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override {
    ++calls;
    ForwardingCommunicator::all_to_all(stream, send, send_bytes, receive, receive_bytes);
  }

  int calls = 0;
};

TEST(Exchange, WithBothSidesKnownAsksNobody) {
  const Counts counts = random_counts(3, 4);
  run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const auto rank = static_cast<std::size_t>(communicator.rank());
    std::vector<std::int64_t> receive_counts;
    for (const std::vector<std::int64_t>& row : counts) {
      receive_counts.push_back(row[rank]);
    }
    CallCounter counter(communicator);
    const Exchange<Cpu> exchange(counter, counts[rank], receive_counts);
    EXPECT_EQ(counter.calls, 0);
    std::vector<std::int64_t> receive(static_cast<std::size_t>(exchange.received()));
    exchange.forward(stream, sent_by(counts, rank, 1).data(), receive.data());
    EXPECT_EQ(counter.calls, 1);
    EXPECT_EQ(receive, received_by(counts, rank, 1));
  });
}

TEST(Exchange, OfCountsForOtherRanksThanThereAreIsRefused) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    const std::vector<std::int64_t> two(2), three(3);
    for (const auto& [send, receive] : {std::pair(three, two), std::pair(two, three)}) {
      try {
        Exchange<Cpu>(communicator, send, receive);
        ADD_FAILURE() << "expected an error";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Kind::invalid_argument);
      }
    }
  });
}

TEST(ForwardingCommunicator, HandsEverythingToTheOneInside) {
  run_ranks(3, 1, [](Communicator<Cpu>& inner, Stream<Cpu>&) {
    CallCounter outer(inner);
    EXPECT_EQ(outer.rank(), inner.rank());
    EXPECT_EQ(outer.size(), 3);
    EXPECT_EQ(outer.local_size(), inner.local_size());
    EXPECT_EQ(outer.gather_values(outer.rank() * 5), (std::vector<int>{0, 5, 10}));
    std::int64_t sum = outer.rank();
    outer.all_reduce(Span<std::int64_t>(&sum, 1), Reduction::sum);
    EXPECT_EQ(sum, 3);
    double most = outer.rank() * 0.5;
    outer.all_reduce(Span<double>(&most, 1), Reduction::max);
    EXPECT_EQ(most, 1.0);
    char letter = static_cast<char>('a' + outer.rank());
    outer.broadcast(std::as_writable_bytes(Span<char>(&letter, 1)), 2);
    EXPECT_EQ(letter, 'c');
    outer.barrier();
    EXPECT_EQ(&host_of(outer), &outer);
    EXPECT_NO_THROW(outer.throw_if_aborted());
    EXPECT_EQ(outer.duplicate()->gather_values(1), (std::vector<int>{1, 1, 1}));
  });
}

TEST(ForwardingCommunicator, ItsNotesAreThoseOfTheOneInside) {
  run_ranks(2, 1, [](Communicator<Cpu>& inner, Stream<Cpu>&) {
    CallCounter outer(inner);
    const int other = 1 - outer.rank();
    std::byte note{static_cast<unsigned char>(outer.rank() + 7)};
    EXPECT_FALSE(outer.poll(other, Span<std::byte>(&note, 1)));
    outer.barrier();
    EXPECT_TRUE(outer.post(other, Span<const std::byte>(&note, 1)));
    outer.barrier();
    std::byte found{0};
    EXPECT_TRUE(inner.poll(other, Span<std::byte>(&found, 1)));
    EXPECT_EQ(found, std::byte{static_cast<unsigned char>(other + 7)});
  });
}

TEST(GatherLists, GivesListsOfRandomSizesByRankAndJoined) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    const Counts counts = random_counts(4, seed);
    std::vector<std::vector<std::int64_t>> expected(4);
    std::vector<std::int64_t> joined;
    for (std::size_t rank = 0; rank < 4; ++rank) {
      for (std::int64_t i = 0; i < counts[rank][0]; ++i) {
        expected[rank].push_back(item(rank, 0, i, 0));
        joined.push_back(item(rank, 0, i, 0));
      }
    }
    run_ranks(4, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      const Span<const std::int64_t> mine(expected[static_cast<std::size_t>(communicator.rank())]);
      EXPECT_EQ(communicator.gather_lists(mine), expected) << "seed " << seed;
      EXPECT_EQ(communicator.gather_joined(mine), joined) << "seed " << seed;
    });
  }
}

TEST(GatherLists, OfNothingAreEmptyListsOfEveryRank) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    EXPECT_EQ(communicator.gather_lists(Span<const double>()), std::vector<std::vector<double>>(3));
    EXPECT_TRUE(communicator.gather_joined(Span<const double>()).empty());
  });
}

}  // namespace
}  // namespace keyshard
