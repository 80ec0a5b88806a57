// The half of a lookup that follows from the ids alone: what this rank asks, of whom and in which
// form, and what the others ask of it. It reads no row and no key index, so it may be done while a
// step changes the tables.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "collectives/texts.hpp"
#include "embedding/lookup/asker_impl.hpp"
#include "embedding/lookup/lookup_state.hpp"
#include "embedding/lookup/owner_impl.hpp"
#include "embedding/lookup/read_parts_impl.hpp"
#include "runtime/error.hpp"

namespace keyshard {

/// What two ranks tell each other before a forward: keys, parts and items of parts for each table,
/// then the numbers that are carried. The first number is kRefused where a rank refused its batch.
struct Counts {
  static constexpr std::int64_t kRefused = -1;

  std::int64_t tables;
  std::int64_t carried;

  std::int64_t width() const { return 3 * tables + carried; }
};

/// What this rank tells each rank; zeros where `asker` has learned no batch.
template <Backend B>
std::vector<std::int64_t> own_counts(const Counts& counts, std::int64_t ranks,
                                     const AskerState<B>& asker, Span<const std::int64_t> carry) {
  std::vector<std::int64_t> sent;
  const auto add = [&](const std::vector<std::int64_t>& of_blocks, std::int64_t rank) {
    for (std::int64_t t = 0; t < counts.tables; ++t) {
      sent.push_back(
          of_blocks.empty() ? 0 : of_blocks[static_cast<std::size_t>(rank * counts.tables + t)]);
    }
  };
  const std::vector<std::int64_t> keys =
      asker.distinct.blocks.empty() ? asker.distinct.blocks : sizes_of(asker.distinct.blocks);
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    add(keys, rank);
    add(asker.parts.part_counts, rank);
    add(asker.parts.item_counts, rank);
    sent.insert(sent.end(), carry.begin(), carry.end());
  }
  return sent;
}

inline std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.text();
  } catch (const std::exception& other) {
    return other.what();
  }
}

/// Tells the others that this rank has no batch for them, and why; then fails.
template <Backend B>
[[noreturn]] void refuse_batch(Communicator<B>& communicator, const Counts& counts,
                               const std::exception_ptr& failure) {
  const std::vector<std::int64_t> carry(static_cast<std::size_t>(counts.carried));
  std::vector<std::int64_t> sent = own_counts(counts, communicator.size(), AskerState<B>(), carry);
  for (std::size_t first = 0; first < sent.size();
       first += static_cast<std::size_t>(counts.width())) {
    sent[first] = Counts::kRefused;
  }
  std::vector<std::int64_t> received(sent.size());
  communicator.all_to_all_values(sent, received);
  gather_texts(host_of(communicator), text_of(failure));
  std::rethrow_exception(failure);
}

/// Tells the others the counts of this rank and learns theirs. Throws Error{communication} where
/// another rank refused its batch, with the reason of that rank.
template <Backend B>
std::vector<std::int64_t> exchange_counts(Communicator<B>& communicator, const Counts& counts,
                                          const AskerState<B>& asker,
                                          Span<const std::int64_t> carry) {
  const std::vector<std::int64_t> sent = own_counts(counts, communicator.size(), asker, carry);
  std::vector<std::int64_t> received(sent.size());
  communicator.all_to_all_values(sent, received);
  const auto width = static_cast<std::size_t>(counts.width());
  for (std::size_t rank = 0; rank * width < received.size(); ++rank) {
    if (received[rank * width] == Counts::kRefused) {
      fail(Kind::communication, "expected a batch from every rank: rank {} refused its own: {}",
           rank, gather_texts(host_of(communicator), "")[rank]);
    }
  }
  return received;
}

/// Reads the counts of all ranks: returns where the blocks start that this rank receives, and sets
/// `owner.reduced`, `owner.blocks` and `carried` of the state.
template <Backend B>
ReceivedBlocks read_counts(const std::vector<std::int64_t>& received, const Counts& counts,
                           LookupState<B>& state) {
  ReceivedBlocks blocks{{0}, {0}, {0}};
  state.carried.assign(static_cast<std::size_t>(counts.carried), 0);
  for (auto row = received.begin(); row != received.end(); row += counts.width()) {
    for (std::int64_t t = 0; t < counts.tables; ++t) {
      blocks.key_starts.push_back(blocks.key_starts.back() + row[t]);
      blocks.part_starts.push_back(blocks.part_starts.back() + row[counts.tables + t]);
      blocks.item_starts.push_back(blocks.item_starts.back() + row[2 * counts.tables + t]);
      state.owner.reduced.push_back(row[counts.tables + t] > 0 ? 1 : 0);
    }
    for (std::int64_t c = 0; c < counts.carried; ++c) {
      state.carried[static_cast<std::size_t>(c)] += row[3 * counts.tables + c];
    }
  }
  state.owner.blocks = blocks.key_starts;
  return blocks;
}

/// Sums consecutive groups of numbers: per block -> per rank.
inline std::vector<std::int64_t> per_rank(const std::vector<std::int64_t>& of_blocks,
                                          std::int64_t ranks) {
  return BlockLayout(of_blocks, ranks).counts;
}

/// Sends the distinct keys to their owners. The asker needs its own copy no more.
template <Backend B>
void exchange_keys(Communicator<B>& communicator, Stream<B>& stream, const LookupShape& shape,
                   LookupState<B>& state) {
  AskerState<B>& asker = state.asker;
  OwnerState<B>& owner = state.owner;
  asker.keys = Exchange<B>(communicator, per_rank(sizes_of(asker.distinct.blocks), shape.ranks),
                           per_rank(sizes_of(owner.blocks), shape.ranks));
  owner.keys = asker.keys.forward(stream, std::move(asker.distinct.keys));
}

/// Sends the parts of bags of reduced tables to their owners, and reads the parts that this rank
/// receives.
template <Backend B>
void exchange_parts(Communicator<B>& communicator, Stream<B>& stream, const LookupShape& shape,
                    const ReceivedBlocks& blocks, LookupState<B>& state) {
  const BagParts<B>& sent = state.asker.parts;
  OwnerState<B>& owner = state.owner;
  const std::vector<std::int64_t> none(static_cast<std::size_t>(shape.ranks * shape.tables()));
  const auto send = [&](const std::vector<std::int64_t>& counts,
                        const std::vector<std::int64_t>& starts) {
    return Exchange<B>(communicator, per_rank(counts.empty() ? none : counts, shape.ranks),
                       per_rank(sizes_of(starts), shape.ranks));
  };
  const Exchange<B> headers = send(sent.part_counts, blocks.part_starts);
  const Exchange<B> items = send(sent.item_counts, blocks.item_starts);
  owner.parts.headers = {stream, headers.received()};
  owner.parts.items = {stream, items.received()};
  headers.forward(stream, sent.headers.data(), owner.parts.headers.data());
  items.forward(stream, sent.items.data(), owner.parts.items.data());
  owner.shards = shards_of(stream, shape, owner.keys.data(), owner.blocks);
  read_parts(stream, shape, blocks, owner.shards.data(), owner.parts);
}

/// Backward counts on it that the slices of a rank are those of run_of.
inline void check_run(const LookupInput& input, std::int64_t rank, std::int64_t ranks) {
  require(input.slices >= 1 && input.slices <= kMostSlices, Kind::invalid_argument,
          "expected 1 to {} slices: found {}", kMostSlices, input.slices);
  const Range run = run_of(rank, ranks, input.slices);
  require(input.run == run, Kind::invalid_argument,
          "expected the slices {} to {} of {} on rank {} of {}: found {} to {}", run.begin, run.end,
          input.slices, rank, ranks, input.run.begin, input.run.end);
}

/// Learns the ids of a batch and sends them to the owners of their rows: all of `state` but rows
/// and what is made of them. Collective. Throws as Lookup::prepare.
template <Backend B>
void learn_ids(Communicator<B>& communicator, Stream<B>& stream, const LookupShape& shape,
               const LookupInput& input, Span<const std::int64_t> carry, LookupState<B>& state) {
  const Counts counts{shape.tables(), carry.size()};
  AskerState<B>& asker = state.asker;
  state.traffic.ids = input.bags.values.size();

  // What is asked, of whom, and in which form.
  try {
    check_run(input, communicator.rank(), shape.ranks);
    plan_batch(stream, shape, input, asker);
  } catch (const Error&) {
    refuse_batch(communicator, counts, std::current_exception());
  }
  plan_parts(stream, shape, communicator.rank(), asker);
  plan_answers(stream, shape, asker);
  const ReceivedBlocks blocks =
      read_counts(exchange_counts(communicator, counts, asker, carry), counts, state);

  // There: keys and parts.
  exchange_keys(communicator, stream, shape, state);
  if (shape.any_reducible()) {
    exchange_parts(communicator, stream, shape, blocks, state);
  }
  distinguish_received(stream, shape, state.owner);
}

}  // namespace keyshard
