// The bodies of Lookup.
#pragma once

#include <algorithm>
#include <concepts>
#include <numeric>
#include <utility>

#include "collectives/texts.hpp"
#include "embedding/lookup/asker_impl.hpp"
#include "embedding/lookup/empty_bags.hpp"
#include "embedding/lookup/fold_gradients_impl.hpp"
#include "embedding/lookup/frozen.hpp"
#include "embedding/lookup/lookup.hpp"
#include "embedding/lookup/owner_impl.hpp"
#include "embedding/lookup/read_parts_impl.hpp"
#include "embedding/lookup/rounded_bags.hpp"
#include "embedding/lookup/short_answers.hpp"
#include "runtime/error.hpp"
#include "runtime/fold.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// What a lookup holds between its stages and from forward to backward.
template <Backend B>
struct LookupState {
  AskerState<B> asker;
  OwnerState<B> owner;
  Buffer<float, B> absent;  // values of absent keys, where bags are pooled in place
  std::vector<std::int64_t> carried;
  LookupTraffic traffic;
};

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

inline std::int64_t to_others(const std::vector<std::int64_t>& counts, int rank) {
  std::int64_t items = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    items += static_cast<int>(r) == rank ? 0 : counts[r];
  }
  return items;
}

template <Backend B>
LookupTraffic traffic_of(const LookupShape& shape, int rank, const LookupInput& input,
                         const LookupState<B>& state) {
  std::vector<std::int64_t> words;
  for (std::int64_t b = 0; b < shape.ranks * shape.tables(); ++b) {
    words.push_back(state.asker.parts.words(static_cast<std::size_t>(b)));
  }
  LookupTraffic traffic;
  traffic.ids = input.bags.values.size();
  traffic.distinct = state.asker.distinct.size();
  traffic.missing =
      std::accumulate(state.owner.missing.begin(), state.owner.missing.end(), std::int64_t{0});
  traffic.reduced_tables = std::count(state.asker.reduced.begin(), state.asker.reduced.end(), 1);
  traffic.bytes =
      to_others(state.asker.keys.send_counts(), rank) * static_cast<std::int64_t>(sizeof(Key)) +
      to_others(per_rank(words, shape.ranks), rank) * 4 +
      to_others(state.owner.answers_layout.counts, rank);
  return traffic;
}

/// Whether bags are pooled in place, from the rows of the tables without a copy: on a rank that is
/// alone, where no backward needs the rows and no table is reduced.
template <Backend B>
bool pools_in_place(const LookupShape& shape, const AskerState<B>& asker) {
  return shape.ranks == 1 && shape.kept_bytes == 0 && shape.own_combiners.empty() &&
         asker.parts.parts.empty();
}

/// Finds the rows of the received keys, and brings the asker rows and states of bags, or where its
/// rows lie if bags are pooled in place.
template <Backend B>
void bring_answers(Communicator<B>& communicator, Stream<B>& stream, const LookupShape& shape,
                   Span<Table<B>* const> tables, bool inference, LookupState<B>& state) {
  AskerState<B>& asker = state.asker;
  OwnerState<B>& owner = state.owner;
  const bool in_place = pools_in_place(shape, asker);
  Buffer<std::byte, B> answers;
  with_stores(communicator, tables, [&] {
    find_received(stream, shape, tables, inference, owner);
    if (in_place) {
      asker.rows = {stream, owner.rows.size()};
      state.absent =
          locate_rows(stream, TableRefs<B>(stream, tables), {owner.distinct_keys(), owner.firsts},
                      owner.rows.data(), inference, asker.rows.data());
    } else {
      answers = answer_keys(stream, shape, tables, inference, owner);
    }
  });
  if (in_place) {
    return;
  }
  asker.answers =
      Exchange<B>(communicator, asker.answers_layout.counts, owner.answers_layout.counts)
          .backward(stream, std::move(answers));
  asker.values = reinterpret_cast<const float*>(asker.answers.data());
  if (shape.any_short()) {
    asker.unpacked = unpack_rows(stream, shape, asker);
    asker.values = asker.unpacked.data();
  }
}

/// Sends `numbers`, one per key, along `keys` where senders[this rank]. `senders` is the same on
/// all ranks.
template <Backend B>
SentNumbers<B> exchange_numbers(Communicator<B>& communicator, Stream<B>& stream,
                                const Exchange<B>& keys, const Buffer<std::uint32_t, B>& numbers,
                                const std::vector<bool>& senders) {
  std::vector<std::int64_t> send = keys.send_counts(), receive = keys.receive_counts();
  SentNumbers<B> sent;
  std::int64_t size = 0;
  for (std::size_t rank = 0; rank < receive.size(); ++rank) {
    sent.starts.push_back(senders[rank] ? size : -1);
    send[rank] = senders[static_cast<std::size_t>(communicator.rank())] ? send[rank] : 0;
    receive[rank] = senders[rank] ? receive[rank] : 0;
    size += receive[rank];
  }
  sent.numbers = {stream, size};
  Exchange<B>(communicator, send, receive).forward(stream, numbers.data(), sent.numbers.data());
  return sent;
}

template <Backend B>
const std::vector<std::int64_t>& LookupTrace<B>::carried() const {
  return state_->carried;
}

template <Backend B>
const LookupTraffic& LookupTrace<B>::traffic() const {
  return state_->traffic;
}

template <Backend B>
Lookup<B>::Lookup(Communicator<B>& communicator, std::vector<Table<B>*> tables,
                  const std::vector<FeatureOptions>& features)
    : communicator_(&communicator), tables_(std::move(tables)) {
  std::vector<FeatureOptions> parted = features;
  for (const FeatureOptions& feature : features) {
    check_table(feature, std::ssize(tables_));
  }
  std::vector<std::uint8_t> frozen = part_frozen<B>(tables_, parted);
  std::vector<const TableOptions*> options;
  for (const Table<B>* table : tables_) {
    const Range own =
        owners_of(table->options(), communicator.size()).shards_of(communicator.rank());
    require(table->shards() == own, Kind::invalid_argument,
            "table {}: expected the shards of this rank, {} to {}: found {} to {}",
            table->options().name, own.begin, own.end, table->shards().begin, table->shards().end);
    options.push_back(&table->options());
  }
  shape_ = make_lookup_shape(options, parted, communicator.size());
  if constexpr (!std::same_as<B, Cpu>) {
    require(shape_.own_combiners.empty(), Kind::not_built,
            "combiners of a program are functions of the host and need a lookup on a CPU: found {}",
            shape_.own_combiners.size());
  }
  shape_.frozen = std::move(frozen);
  for (const FeatureOptions& feature : features) {
    tables_[static_cast<std::size_t>(feature.table)]->add_reader(feature.name);
  }
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

template <Backend B>
LookupTrace<B> Lookup<B>::forward(Stream<B>& stream, const LookupInput& input, bool training,
                                  Span<const std::int64_t> carry,
                                  Span<const MatrixView<float>> pooled,
                                  Communicator<B>* communicator) {
  Communicator<B>& ranks = communicator == nullptr ? *communicator_ : *communicator;
  const auto state = std::make_shared<LookupState<B>>();
  AskerState<B>& asker = state->asker;
  const Counts counts{shape_.tables(), carry.size()};

  // Ids: what is asked, of whom, and in which form.
  try {
    check_run(input, ranks.rank(), shape_.ranks);
    plan_batch(stream, shape_, input, asker);
  } catch (const Error&) {
    refuse_batch(ranks, counts, std::current_exception());
  }
  plan_parts(stream, shape_, ranks.rank(), asker);
  plan_answers(stream, shape_, asker);
  const ReceivedBlocks blocks =
      read_counts(exchange_counts(ranks, counts, asker, carry), counts, *state);

  // There: keys and parts. And back: rows and states.
  exchange_keys(ranks, stream, shape_, *state);
  if (shape_.any_reducible()) {
    exchange_parts(ranks, stream, shape_, blocks, *state);
  }
  using Tables = Span<Table<B>* const>;
  const StoreLocks<B> locks(shape_.ranks == 1 ? Tables(tables_) : Tables());  // see with_stores
  bring_answers<B>(ranks, stream, shape_, tables_, !training, *state);
  pool_answers(stream, shape_, asker, pooled);
  fill_empty(stream, shape_, asker, pooled);
  round_outputs(stream, shape_, asker.samples, pooled);
  asker.rows = {};  // rows change from here on
  state->absent = {};
  state->traffic = traffic_of(shape_, ranks.rank(), input, *state);
  return LookupTrace<B>(state);
}

template <Backend B>
void Lookup<B>::refuse(Stream<B>& /*stream*/, std::exception_ptr failure, std::int64_t carried,
                       Communicator<B>* communicator) {
  refuse_batch(communicator == nullptr ? *communicator_ : *communicator, {shape_.tables(), carried},
               failure);
}

template <Backend B>
void Lookup<B>::backward(Stream<B>& stream, const LookupTrace<B>& trace,
                         Span<const MatrixView<const float>> gradients) {
  if (shape_.all_frozen()) {
    return;
  }
  const AskerState<B>& asker = trace.state()->asker;
  const OwnerState<B>& owner = trace.state()->owner;
  const TakenGradients<B> taken(stream, shape_, asker.samples, gradients);
  GradientMessage<B> message = sum_gradients(stream, shape_, asker, taken.views());
  if (shape_.ranks == 1 && message.masks.empty() && owner.parts.parts.empty()) {
    keep_gradients<B>(shape_, tables_, owner, std::move(message), trace.state());
    return;
  }

  ReceivedGradients<B> received;
  received.slices = asker.slices;
  std::vector<bool> several;
  for (std::int64_t rank = 0; rank < shape_.ranks; ++rank) {
    several.push_back(nodes_of(run_of(rank, shape_.ranks, asker.slices)).size() > 1);
  }
  SentNumbers<B> masks;
  if (std::find(several.begin(), several.end(), true) != several.end()) {
    masks = exchange_numbers(*communicator_, stream, asker.keys, message.masks, several);
  }
  if (shape_.counts_occurrences) {
    received.counts = exchange_numbers(*communicator_, stream, asker.keys, message.counts,
                                       std::vector<bool>(several.size(), true))
                          .numbers;
  }
  plan_received(stream, shape_, owner, masks, received);
  received.bytes = Exchange<B>(*communicator_, message.layout.counts, received.layout.counts)
                       .forward(stream, std::move(message.bytes));
  fold_gradients<B>(stream, shape_, tables_, owner, received, trace.state());
}

}  // namespace keyshard
