// The bodies of Lookup.
#pragma once

#include <algorithm>
#include <concepts>
#include <numeric>
#include <utility>

#include "embedding/lookup/empty_bags.hpp"
#include "embedding/lookup/fold_gradients_impl.hpp"
#include "embedding/lookup/frozen.hpp"
#include "embedding/lookup/lookup.hpp"
#include "embedding/lookup/prepare_impl.hpp"
#include "embedding/lookup/rounded_bags.hpp"
#include "embedding/lookup/short_answers.hpp"
#include "runtime/error.hpp"
#include "runtime/fold.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

inline std::int64_t to_others(const std::vector<std::int64_t>& counts, int rank) {
  std::int64_t items = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    items += static_cast<int>(r) == rank ? 0 : counts[r];
  }
  return items;
}

/// Adds to the traffic of the ids what is known once rows have come.
template <Backend B>
void count_traffic(const LookupShape& shape, int rank, LookupState<B>& state) {
  std::vector<std::int64_t> words;
  for (std::int64_t b = 0; b < shape.ranks * shape.tables(); ++b) {
    words.push_back(state.asker.parts.words(static_cast<std::size_t>(b)));
  }
  LookupTraffic& traffic = state.traffic;
  traffic.distinct = state.asker.distinct.size();
  traffic.missing =
      std::accumulate(state.owner.missing.begin(), state.owner.missing.end(), std::int64_t{0});
  traffic.reduced_tables = std::count(state.asker.reduced.begin(), state.asker.reduced.end(), 1);
  traffic.bytes =
      to_others(state.asker.keys.send_counts(), rank) * static_cast<std::int64_t>(sizeof(Key)) +
      to_others(per_rank(words, shape.ranks), rank) * 4 +
      to_others(state.owner.answers_layout.counts, rank);
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
    find_received(stream, tables, inference, owner);
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
const std::vector<std::int64_t>& PreparedLookup<B>::carried() const {
  return state_->carried;
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

template <Backend B>
PreparedLookup<B> Lookup<B>::prepare(Stream<B>& stream, const LookupInput& input,
                                     Span<const std::int64_t> carry,
                                     Communicator<B>* communicator) {
  Communicator<B>& ranks = communicator == nullptr ? *communicator_ : *communicator;
  auto state = std::make_shared<LookupState<B>>();
  learn_ids(ranks, stream, shape_, input, carry, *state);
  return PreparedLookup<B>(std::move(state));
}

template <Backend B>
LookupTrace<B> Lookup<B>::forward(Stream<B>& stream, PreparedLookup<B> prepared, bool training,
                                  Span<const MatrixView<float>> pooled,
                                  Communicator<B>* communicator) {
  Communicator<B>& ranks = communicator == nullptr ? *communicator_ : *communicator;
  const std::shared_ptr<LookupState<B>> state = prepared.take();
  AskerState<B>& asker = state->asker;
  using Tables = Span<Table<B>* const>;
  const StoreLocks<B> locks(shape_.ranks == 1 ? Tables(tables_) : Tables());  // see with_stores
  bring_answers<B>(ranks, stream, shape_, tables_, !training, *state);
  pool_answers(stream, shape_, asker, pooled);
  fill_empty(stream, shape_, asker, pooled);
  round_outputs(stream, shape_, asker.samples, pooled);
  asker.rows = {};  // rows change from here on
  state->absent = {};
  count_traffic(shape_, ranks.rank(), *state);
  return LookupTrace<B>(state);
}

template <Backend B>
LookupTrace<B> Lookup<B>::forward(Stream<B>& stream, const LookupInput& input, bool training,
                                  Span<const std::int64_t> carry,
                                  Span<const MatrixView<float>> pooled,
                                  Communicator<B>* communicator) {
  return forward(stream, prepare(stream, input, carry, communicator), training, pooled,
                 communicator);
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
