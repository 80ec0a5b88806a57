// The bodies of communicator_checks, for any device.
#pragma once

#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "collectives/exchange.hpp"
#include "collectives/texts.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "tests/collectives/communicator_checks.hpp"

namespace keyshard::testing {
namespace communicator_checks_detail {

inline std::int64_t part_bytes(std::int64_t from, std::int64_t to) {
  return to == 1 ? 0 : (from * 7 + to * 3) % 5 * 100 + from;  // rank 1 gets nothing
}

inline std::byte part_byte(std::int64_t from, std::int64_t to, std::int64_t i) {
  return static_cast<std::byte>((from * 31 + to * 17 + i * 3) % 251);
}

template <Backend B>
void all_to_all_moves_uneven_parts(Communicator<B>& communicator, Stream<B>& stream) {
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
  const Buffer<std::byte, B> sent = to_device(stream, send);
  Buffer<std::byte, B> received(stream, static_cast<std::int64_t>(expected.size()));
  communicator.all_to_all(stream, sent.span(), send_bytes, received.span(), receive_bytes);
  EXPECT_EQ(to_host(stream, received), expected);
}

template <Backend B>
void all_to_all_values_gives_part_r_to_rank_r(Communicator<B>& communicator, Stream<B>&) {
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

template <Backend B>
void all_gather_keeps_the_order_of_ranks(Communicator<B>& communicator, Stream<B>&) {
  const auto all = communicator.gather_values(communicator.rank() * 10);
  ASSERT_EQ(static_cast<int>(all.size()), communicator.size());
  for (int rank = 0; rank < communicator.size(); ++rank) {
    EXPECT_EQ(all[static_cast<std::size_t>(rank)], rank * 10);
  }
}

template <Backend B>
void gather_lists_keeps_the_sizes_of_all(Communicator<B>& communicator, Stream<B>&) {
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

template <Backend B>
void texts_of_all_come_to_all(Communicator<B>& of_device, Stream<B>&) {
  Communicator<Cpu>& communicator = host_of(of_device);
  const std::string mine(static_cast<std::size_t>(communicator.rank()), 'r');
  const std::vector<std::string> texts = gather_texts(communicator, mine);
  ASSERT_EQ(static_cast<int>(texts.size()), communicator.size());
  for (int rank = 0; rank < communicator.size(); ++rank) {
    EXPECT_EQ(texts[static_cast<std::size_t>(rank)].size(), static_cast<std::size_t>(rank));
  }
  EXPECT_EQ(broadcast_text(communicator, communicator.rank() == 0 ? "of rank 0" : "another"),
            "of rank 0");
}

template <Backend B>
void broadcast_gives_all_the_bytes_of_the_root(Communicator<B>& communicator, Stream<B>&) {
  for (int root = 0; root < communicator.size(); ++root) {
    std::int64_t value = communicator.rank() + 100;
    communicator.broadcast(std::as_writable_bytes(Span<std::int64_t>(&value, 1)), root);
    EXPECT_EQ(value, root + 100);
  }
}

template <Backend B>
void all_reduce_of_integers_is_exact(Communicator<B>& communicator, Stream<B>&) {
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

template <Backend B>
void all_reduce_of_floats_finds_extrema_only(Communicator<B>& communicator, Stream<B>&) {
  const double me = communicator.rank(), last = communicator.size() - 1;
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> least{me, -me, me == 0 ? -infinity : 0.0}, most{me, -me};
  communicator.all_reduce(Span<double>(least), Reduction::min);
  communicator.all_reduce(Span<double>(most), Reduction::max);
  EXPECT_EQ(least, (std::vector<double>{0, -last, -infinity}));
  EXPECT_EQ(most, (std::vector<double>{last, 0}));
  EXPECT_THROW(communicator.all_reduce(Span<double>(most), Reduction::sum), Error);
}

template <Backend B>
void duplicates_keep_their_messages_apart(Communicator<B>& communicator, Stream<B>& stream) {
  // Each thread of a rank has a communicator; they run at any pace.
  const auto duplicate = communicator.duplicate();
  const auto gather_often = [](Communicator<B>& over, int base) {
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

template <Backend B>
void notes_arrive_in_order_without_waiting(Communicator<B>& communicator, Stream<B>&) {
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

template <Backend B>
void exchange_returns_each_item_to_its_sender(Communicator<B>& communicator, Stream<B>& stream) {
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
  const Exchange<B> exchange(communicator, counts);
  EXPECT_EQ(exchange.receive_counts(), counts);  // (a + b) % 3 is symmetric
  const Buffer<std::int32_t, B> items = to_device(stream, sent);
  Buffer<std::int32_t, B> received(stream, static_cast<std::int64_t>(expected.size()));
  Buffer<std::int32_t, B> returned(stream, items.size());
  exchange.forward(stream, items.data(), received.data(), 2);
  EXPECT_EQ(to_host(stream, received), expected);
  exchange.backward(stream, std::as_const(received).data(), returned.data(), 2);
  EXPECT_EQ(to_host(stream, returned), sent);
}

template <Backend B>
void collectives_are_counted_and_do_not_wait_after(Communicator<B>& communicator, Stream<B>&) {
  const Progress& progress = communicator.progress();
  const std::uint64_t entered = progress.collectives(), counter = progress.counter();
  communicator.barrier();
  EXPECT_EQ(progress.collectives(), entered + 1);
  EXPECT_GT(progress.counter(), counter);
  EXPECT_FALSE(progress.waiting());
}

}  // namespace communicator_checks_detail

template <Backend B>
std::vector<RankCheck<B>> communicator_checks() {
  namespace detail = communicator_checks_detail;
  return {
      {"AllToAllMovesUnevenAndEmptyParts", detail::all_to_all_moves_uneven_parts<B>},
      {"AllToAllValuesGivesPartRToRankR", detail::all_to_all_values_gives_part_r_to_rank_r<B>},
      {"AllGatherKeepsTheOrderOfRanks", detail::all_gather_keeps_the_order_of_ranks<B>},
      {"GatherListsKeepsTheSizesOfAll", detail::gather_lists_keeps_the_sizes_of_all<B>},
      {"TextsOfAllComeToAll", detail::texts_of_all_come_to_all<B>},
      {"BroadcastGivesAllTheBytesOfTheRoot", detail::broadcast_gives_all_the_bytes_of_the_root<B>},
      {"AllReduceOfIntegersIsExact", detail::all_reduce_of_integers_is_exact<B>},
      {"AllReduceOfFloatsFindsExtremaOnly", detail::all_reduce_of_floats_finds_extrema_only<B>},
      {"DuplicatesKeepTheirMessagesApart", detail::duplicates_keep_their_messages_apart<B>},
      {"NotesArriveInOrderWithoutWaiting", detail::notes_arrive_in_order_without_waiting<B>},
      {"ExchangeReturnsEachItemToItsSender", detail::exchange_returns_each_item_to_its_sender<B>},
      {"CollectivesAreCountedAndDoNotWaitAfter",
       detail::collectives_are_counted_and_do_not_wait_after<B>},
  };
}

}  // namespace keyshard::testing
