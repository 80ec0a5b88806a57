#include "tests/collectives/communicator_checks.hpp"

#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "collectives/exchange.hpp"
#include "collectives/texts.hpp"
#include "runtime/error.hpp"

namespace keyshard::testing {
namespace {

std::int64_t part_bytes(std::int64_t from, std::int64_t to) {
  return to == 1 ? 0 : (from * 7 + to * 3) % 5 * 100 + from;  // rank 1 gets nothing
}

std::byte part_byte(std::int64_t from, std::int64_t to, std::int64_t i) {
  return static_cast<std::byte>((from * 31 + to * 17 + i * 3) % 251);
}

void all_to_all_moves_uneven_parts(Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  const int me = communicator.rank(), ranks = communicator.size();
  std::vector<std::int64_t> send_bytes, receive_bytes;
  std::vector<std::byte> send, expected;
  for (int peer = 0; peer < ranks; ++peer) {
    send_bytes.push_back(part_bytes(me, peer));
    receive_bytes.push_back(part_bytes(peer, me));
    for (std::int64_t i = 0; i < send_bytes.back(); ++i) {
      send.push_back(part_byte(me, peer, i));
    }
    for (std::int64_t i = 0; i < receive_bytes.back(); ++i) {
      expected.push_back(part_byte(peer, me, i));
    }
  }
  std::vector<std::byte> received(expected.size());
  communicator.all_to_all(stream, send, send_bytes, received, receive_bytes);
  EXPECT_EQ(received, expected);
}

void all_to_all_values_gives_part_r_to_rank_r(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  // Rank a sends (100 a + b, 100 a + b + 7000) to rank b, and nothing at all in another call.
  std::vector<std::int64_t> sent, expected;
  for (std::int64_t peer = 0; peer < communicator.size(); ++peer) {
    const std::int64_t there = 100 * communicator.rank() + peer;
    const std::int64_t here = 100 * peer + communicator.rank();
    sent.insert(sent.end(), {there, there + 7000});
    expected.insert(expected.end(), {here, here + 7000});
  }
  std::vector<std::int64_t> received(sent.size());
  communicator.all_to_all_values(sent, received);
  EXPECT_EQ(received, expected);
  communicator.all_to_all_values({}, {});
  EXPECT_THROW(communicator.all_to_all_values(sent, {}), Error);
}

void all_gather_keeps_the_order_of_ranks(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  const auto all = communicator.gather_values(communicator.rank() * 10);
  ASSERT_EQ(static_cast<int>(all.size()), communicator.size());
  for (int rank = 0; rank < communicator.size(); ++rank) {
    EXPECT_EQ(all[static_cast<std::size_t>(rank)], rank * 10);
  }
}

void gather_lists_keeps_the_sizes_of_all(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  // Rank r has r elements, so that rank 0 has none.
  std::vector<std::vector<std::int64_t>> expected;
  std::vector<std::int64_t> joined;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    expected.emplace_back(static_cast<std::size_t>(rank), 100 + rank);
    joined.insert(joined.end(), expected.back().begin(), expected.back().end());
  }
  const std::vector<std::int64_t>& mine = expected[static_cast<std::size_t>(communicator.rank())];
  EXPECT_EQ(communicator.gather_lists(Span<const std::int64_t>(mine)), expected);
  EXPECT_EQ(communicator.gather_joined(Span<const std::int64_t>(mine)), joined);
  EXPECT_EQ(communicator.gather_joined(Span<const std::int64_t>()), std::vector<std::int64_t>());
}

void texts_of_all_come_to_all(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  const std::string mine(static_cast<std::size_t>(communicator.rank()), 'r');
  const std::vector<std::string> texts = gather_texts(communicator, mine);
  ASSERT_EQ(static_cast<int>(texts.size()), communicator.size());
  for (int rank = 0; rank < communicator.size(); ++rank) {
    EXPECT_EQ(texts[static_cast<std::size_t>(rank)].size(), static_cast<std::size_t>(rank));
  }
  EXPECT_EQ(broadcast_text(communicator, communicator.rank() == 0 ? "of rank 0" : "another"),
            "of rank 0");
}

void broadcast_gives_all_the_bytes_of_the_root(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  for (int root = 0; root < communicator.size(); ++root) {
    std::int64_t value = communicator.rank() + 100;
    communicator.broadcast(std::as_writable_bytes(Span<std::int64_t>(&value, 1)), root);
    EXPECT_EQ(value, root + 100);
  }
}

void all_reduce_of_integers_is_exact(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  const std::int64_t large = (std::int64_t{1} << 53) + 1, last = communicator.size() - 1;
  const auto mine = [&] { return std::vector<std::int64_t>{large, communicator.rank()}; };
  std::vector<std::int64_t> sum = mine(), least = mine(), most = mine();
  communicator.all_reduce(Span<std::int64_t>(sum), Reduction::sum);
  communicator.all_reduce(Span<std::int64_t>(least), Reduction::min);
  communicator.all_reduce(Span<std::int64_t>(most), Reduction::max);
  EXPECT_EQ(sum, (std::vector<std::int64_t>{large * (last + 1), last * (last + 1) / 2}));
  EXPECT_EQ(least, (std::vector<std::int64_t>{large, 0}));
  EXPECT_EQ(most, (std::vector<std::int64_t>{large, last}));
}

void all_reduce_of_floats_finds_extrema_only(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  const double me = communicator.rank(), last = communicator.size() - 1;
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> least{me, -me, me == 0 ? -infinity : 0.0}, most{me, -me};
  communicator.all_reduce(Span<double>(least), Reduction::min);
  communicator.all_reduce(Span<double>(most), Reduction::max);
  EXPECT_EQ(least, (std::vector<double>{0, -last, -infinity}));
  EXPECT_EQ(most, (std::vector<double>{last, 0}));
  EXPECT_THROW(communicator.all_reduce(Span<double>(most), Reduction::sum), Error);
}

void duplicates_keep_their_messages_apart(Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  // Each thread of a rank has a communicator; they run at any pace.
  const auto duplicate = communicator.duplicate();
  const auto gather_often = [](Communicator<Cpu>& over, int base) {
    for (int round = 0; round < 50; ++round) {
      const auto all = over.gather_values(base + round * over.rank());
      for (int rank = 0; rank < over.size(); ++rank) {
        EXPECT_EQ(all[static_cast<std::size_t>(rank)], base + round * rank);
      }
    }
  };
  std::thread other([&] { gather_often(*duplicate, 1000); });
  gather_often(communicator, 0);
  other.join();
  all_to_all_moves_uneven_parts(*duplicate, stream);
}

void notes_arrive_in_order_without_waiting(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  const int me = communicator.rank(), ranks = communicator.size();
  const int to = (me + 1) % ranks, from = (me + ranks - 1) % ranks;
  if (ranks == 1) {
    return;
  }
  for (std::int32_t number = 0; number < 3; ++number) {
    const std::int32_t note = me * 10 + number;
    while (!communicator.post(to, std::as_bytes(Span<const std::int32_t>(&note, 1)))) {
      std::this_thread::yield();
    }
  }
  std::int32_t note = -1;
  const Span<std::byte> bytes = std::as_writable_bytes(Span<std::int32_t>(&note, 1));
  for (std::int32_t number = 0; number < 3; ++number) {
    while (!communicator.poll(from, bytes)) {
      std::this_thread::yield();
    }
    EXPECT_EQ(note, from * 10 + number);
  }
  communicator.barrier();
  EXPECT_FALSE(communicator.poll(from, bytes));
}

void exchange_returns_each_item_to_its_sender(Communicator<Cpu>& communicator,
                                              Stream<Cpu>& stream) {
  // Rank a sends (a + b) % 3 items of two numbers, (a, b * 100 + i), to rank b.
  const std::int32_t me = communicator.rank();
  std::vector<std::int64_t> counts;
  std::vector<std::int32_t> sent, expected;
  for (std::int32_t peer = 0; peer < communicator.size(); ++peer) {
    counts.push_back((me + peer) % 3);
    for (std::int32_t i = 0; i < (me + peer) % 3; ++i) {
      sent.insert(sent.end(), {me, peer * 100 + i});
      expected.insert(expected.end(), {peer, me * 100 + i});
    }
  }
  const Exchange<Cpu> exchange(communicator, counts);
  EXPECT_EQ(exchange.receive_counts(), counts);  // (a + b) % 3 is symmetric
  std::vector<std::int32_t> received(expected.size()), returned(sent.size());
  exchange.forward(stream, sent.data(), received.data(), 2);
  EXPECT_EQ(received, expected);
  exchange.backward(stream, received.data(), returned.data(), 2);
  EXPECT_EQ(returned, sent);
}

void collectives_are_counted_and_do_not_wait_after(Communicator<Cpu>& communicator, Stream<Cpu>&) {
  const Progress& progress = communicator.progress();
  const std::uint64_t entered = progress.collectives(), counter = progress.counter();
  communicator.barrier();
  EXPECT_EQ(progress.collectives(), entered + 1);
  EXPECT_GT(progress.counter(), counter);
  EXPECT_FALSE(progress.waiting());
}

}  // namespace

const std::vector<RankCheck>& communicator_checks() {
  static const std::vector<RankCheck> checks{
      {"AllToAllMovesUnevenAndEmptyParts", all_to_all_moves_uneven_parts},
      {"AllToAllValuesGivesPartRToRankR", all_to_all_values_gives_part_r_to_rank_r},
      {"AllGatherKeepsTheOrderOfRanks", all_gather_keeps_the_order_of_ranks},
      {"GatherListsKeepsTheSizesOfAll", gather_lists_keeps_the_sizes_of_all},
      {"TextsOfAllComeToAll", texts_of_all_come_to_all},
      {"BroadcastGivesAllTheBytesOfTheRoot", broadcast_gives_all_the_bytes_of_the_root},
      {"AllReduceOfIntegersIsExact", all_reduce_of_integers_is_exact},
      {"AllReduceOfFloatsFindsExtremaOnly", all_reduce_of_floats_finds_extrema_only},
      {"DuplicatesKeepTheirMessagesApart", duplicates_keep_their_messages_apart},
      {"NotesArriveInOrderWithoutWaiting", notes_arrive_in_order_without_waiting},
      {"ExchangeReturnsEachItemToItsSender", exchange_returns_each_item_to_its_sender},
      {"CollectivesAreCountedAndDoNotWaitAfter", collectives_are_counted_and_do_not_wait_after},
  };
  return checks;
}

}  // namespace keyshard::testing
