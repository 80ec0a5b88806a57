#include <algorithm>
#include <cstring>

#include "embedding/lookup/lookup.hpp"
#include "embedding/lookup/lookup_state.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// Counts that two ranks tell each other before a forward: keys and words per table, then the
/// numbers that are carried. The first one is kRefused where a rank refused its batch.
struct Counts {
  std::int64_t tables;
  std::int64_t carried;

  std::int64_t width() const { return 2 * tables + carried; }
};

constexpr std::int64_t kRefused = -1;

/// Fails on this rank where another one refused its batch.
void require_accepted(const std::vector<std::int64_t>& received, const Counts& counts) {
  const auto width = static_cast<std::size_t>(counts.width());
  for (std::size_t rank = 0; rank * width < received.size(); ++rank) {
    require(received[rank * width] != kRefused, Kind::communication,
            "expected a batch from every rank: rank {} refused its own", rank);
  }
}

/// Tells the others the counts of this rank, or that it refused its batch, and learns theirs.
std::vector<std::int64_t> exchange_counts(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                          const Counts& counts, const AskerState<Cpu>& asker,
                                          Span<const std::int64_t> carry, bool refused = false) {
  const auto ranks = communicator.size();
  const auto width = static_cast<std::size_t>(counts.width());
  std::vector<std::int64_t> sent(width * static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) {
    std::int64_t* row = sent.data() + static_cast<std::size_t>(rank) * width;
    for (std::int64_t t = 0; t < counts.tables; ++t) {
      const auto block = static_cast<std::size_t>(rank * counts.tables + t);
      row[t] = asker.distinct.blocks[block + 1] - asker.distinct.blocks[block];
      row[counts.tables + t] = asker.parts.word_counts.empty() ? 0 : asker.parts.word_counts[block];
    }
    std::copy(carry.begin(), carry.end(), row + 2 * counts.tables);
    row[0] = refused ? kRefused : row[0];
  }
  std::vector<std::int64_t> received(sent.size());
  const std::vector<std::int64_t> ones(static_cast<std::size_t>(ranks), 1);
  Exchange<Cpu>(communicator, ones, ones)
      .forward(stream, sent.data(), received.data(), counts.width());
  if (!refused) {
    require_accepted(received, counts);
  }
  return received;
}

/// What the ranks have told of their keys and the numbers that are carried, taken into the state.
/// Returns the words of the parts of each block.
std::vector<std::int64_t> read_counts(const std::vector<std::int64_t>& received,
                                      const Counts& counts, LookupState<Cpu>& state) {
  OwnerState<Cpu>& owner = state.owner;
  std::vector<std::int64_t> word_counts;
  owner.blocks.assign(1, 0);
  state.carried.assign(static_cast<std::size_t>(counts.carried), 0);
  for (auto row = received.begin(); row != received.end(); row += counts.width()) {
    for (std::int64_t t = 0; t < counts.tables; ++t) {
      owner.blocks.push_back(owner.blocks.back() + row[t]);
      word_counts.push_back(row[counts.tables + t]);
      owner.reduced.push_back(word_counts.back() > 0);
    }
    for (std::int64_t c = 0; c < counts.carried; ++c) {
      state.carried[static_cast<std::size_t>(c)] += row[2 * counts.tables + c];
    }
  }
  return word_counts;
}

/// Items of each block.
std::vector<std::int64_t> sizes_of(const std::vector<std::int64_t>& blocks) {
  std::vector<std::int64_t> sizes(blocks.size() - 1);
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    sizes[block] = blocks[block + 1] - blocks[block];
  }
  return sizes;
}

/// Sums consecutive groups of `tables` numbers: per block -> per rank.
std::vector<std::int64_t> per_rank(const std::vector<std::int64_t>& blocks, std::int64_t ranks) {
  std::vector<std::int64_t> sums(static_cast<std::size_t>(ranks), 0);
  for (std::size_t block = 0; block < blocks.size(); ++block) {
    sums[block / (blocks.size() / static_cast<std::size_t>(ranks))] += blocks[block];
  }
  return sums;
}

/// What the asker knows of the answers: a block per rank and table, and where each key's row lies
/// in it.
void plan_answers(Stream<Cpu>& stream, const LookupShape& shape, AskerState<Cpu>& asker) {
  const std::vector<std::int64_t>& blocks = asker.distinct.blocks;
  std::vector<std::int64_t> sizes(blocks.size() - 1);
  bool uniform = true;
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    const auto table = block % static_cast<std::size_t>(shape.tables());
    const bool reduced = asker.reduced[table] != 0;
    sizes[block] = reduced ? asker.parts.state_floats[block]
                           : (blocks[block + 1] - blocks[block]) * shape.dims[table];
    uniform = uniform && !reduced && shape.dims[table] == shape.dims.front();
  }
  asker.answers = BlockLayout(sizes, shape.ranks);
  if (uniform) {
    return;
  }
  asker.value_offsets = {stream, asker.distinct.size()};
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    const std::int64_t dim = shape.dims[block % static_cast<std::size_t>(shape.tables())];
    for (std::int64_t u = blocks[block]; u < blocks[block + 1]; ++u) {
      asker.value_offsets[u] = asker.answers.bases[block] + (u - blocks[block]) * dim;
    }
  }
}

bool any_reducible(const LookupShape& shape) {
  return std::any_of(shape.modes.begin(), shape.modes.end(),
                     [](ExchangeMode m) { return m != ExchangeMode::rows; });
}

/// Sends the structure of reduced parts to their owners.
BagParts exchange_parts(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                        const LookupShape& shape, const AskerState<Cpu>& asker,
                        const std::vector<std::int64_t>& word_counts,
                        const std::vector<std::int64_t>& key_blocks, Span<const Key> received) {
  std::vector<std::int64_t> sent = asker.parts.word_counts;
  sent.resize(word_counts.size(), 0);
  const Exchange<Cpu> exchange(communicator, per_rank(sent, shape.ranks),
                               per_rank(word_counts, shape.ranks));
  std::vector<std::uint32_t> words(static_cast<std::size_t>(exchange.received()));
  exchange.forward(stream, asker.parts.words.data(), words.data());
  return read_parts(shape, word_counts, key_blocks, received, std::move(words));
}

std::int64_t bytes_to_others(const std::vector<std::int64_t>& counts, int rank,
                             std::int64_t item_bytes) {
  std::int64_t items = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    items += static_cast<int>(r) == rank ? 0 : counts[r];
  }
  return items * item_bytes;
}

LookupTraffic traffic_of(const LookupShape& shape, int rank, const LookupInput& input,
                         const AskerState<Cpu>& asker, const OwnerState<Cpu>& owner) {
  LookupTraffic traffic;
  traffic.ids = static_cast<std::int64_t>(input.bags.values.size());
  traffic.distinct = asker.distinct.size();
  traffic.missing = std::count(owner.rows.data(), owner.rows.data() + owner.rows.size(), kNoRow);
  traffic.reduced_tables = std::count(asker.reduced.begin(), asker.reduced.end(), 1);
  traffic.bytes = bytes_to_others(asker.keys.send_counts(), rank, sizeof(Key)) +
                  bytes_to_others(per_rank(asker.parts.word_counts, shape.ranks), rank, 4) +
                  bytes_to_others(owner.answers.counts, rank, 4);
  return traffic;
}

/// Sends one number per key where `send_to_all` of the sender holds, on both sides; others' stay 1.
std::vector<std::uint32_t> exchange_numbers(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                            const Exchange<Cpu>& keys,
                                            const std::vector<std::uint32_t>& numbers,
                                            const std::vector<char>& senders) {
  std::vector<std::int64_t> send = keys.send_counts(), receive = keys.receive_counts();
  for (std::size_t rank = 0; rank < receive.size(); ++rank) {
    send[rank] = senders[static_cast<std::size_t>(communicator.rank())] != 0 ? send[rank] : 0;
    receive[rank] = senders[rank] != 0 ? receive[rank] : 0;
  }
  const Exchange<Cpu> exchange(communicator, send, receive);
  std::vector<std::uint32_t> packed(static_cast<std::size_t>(exchange.received()));
  exchange.forward(stream, numbers.data(), packed.data());
  std::vector<std::uint32_t> all(static_cast<std::size_t>(keys.received()), 1);
  auto from = packed.begin();
  auto to = all.begin();
  for (std::size_t rank = 0; rank < receive.size(); ++rank) {
    std::copy_n(from, receive[rank], to);
    from += receive[rank];
    to += keys.receive_counts()[rank];
  }
  return all;
}

}  // namespace

template <>
LookupTrace<Cpu>::LookupTrace() = default;
template <>
LookupTrace<Cpu>::~LookupTrace() = default;
template <>
LookupTrace<Cpu>::LookupTrace(LookupTrace&&) noexcept = default;
template <>
LookupTrace<Cpu>& LookupTrace<Cpu>::operator=(LookupTrace&&) noexcept = default;

template <>
LookupTrace<Cpu>::LookupTrace(std::unique_ptr<LookupState<Cpu>> state) : state_(std::move(state)) {}

template <>
const std::vector<std::int64_t>& LookupTrace<Cpu>::carried() const {
  return state_->carried;
}

template <>
const LookupTraffic& LookupTrace<Cpu>::traffic() const {
  return state_->traffic;
}

template <>
Lookup<Cpu>::Lookup(Communicator<Cpu>& communicator, std::vector<Table<Cpu>*> tables,
                    const std::vector<FeatureOptions>& features)
    : communicator_(&communicator), tables_(std::move(tables)) {
  std::vector<const TableOptions*> options;
  const Range own = run_of(communicator.rank(), communicator.size(), kShards);
  for (const Table<Cpu>* table : tables_) {
    require(table->shards() == own, Kind::invalid_argument,
            "table {}: expected the shards of this rank, {} to {}: found {} to {}",
            table->options().name, own.begin, own.end, table->shards().begin, table->shards().end);
    options.push_back(&table->options());
  }
  shape_ = std::make_unique<LookupShape>(make_lookup_shape(options, features, communicator.size()));
  for (const FeatureOptions& feature : features) {
    tables_[static_cast<std::size_t>(feature.table)]->add_reader(feature.name);
  }
}

template <>
Lookup<Cpu>::~Lookup() = default;
template <>
Lookup<Cpu>::Lookup(Lookup&&) noexcept = default;

template <>
std::int64_t Lookup<Cpu>::groups() const {
  return static_cast<std::int64_t>(shape_->widths.size());
}

template <>
std::int64_t Lookup<Cpu>::width(std::int64_t group) const {
  return shape_->widths[static_cast<std::size_t>(group)];
}

template <>
std::int64_t Lookup<Cpu>::column(std::int64_t feature, std::int64_t group) const {
  return shape_->features[static_cast<std::size_t>(feature)]
      .groups[static_cast<std::size_t>(group)]
      .column;
}

namespace {

/// Brings the owners' answers to those who asked.
Buffer<float, Cpu> return_answers(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                  const AskerState<Cpu>& asker, const OwnerState<Cpu>& owner,
                                  Buffer<float, Cpu> answers) {
  if (communicator.size() == 1) {
    return answers;
  }
  Buffer<float, Cpu> values(stream, asker.answers.size());
  Exchange<Cpu>(communicator, asker.answers.counts, owner.answers.counts)
      .backward(stream, answers.data(), values.data());
  return values;
}

/// Tells the others that this rank has no batch for them, and fails.
[[noreturn]] void refuse_batch(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                               const LookupShape& shape, const Counts& counts,
                               const std::exception_ptr& failure) {
  AskerState<Cpu> nothing;
  nothing.distinct.blocks.assign(static_cast<std::size_t>(shape.ranks * counts.tables) + 1, 0);
  const std::vector<std::int64_t> carry(static_cast<std::size_t>(counts.carried));
  exchange_counts(communicator, stream, counts, nothing, carry, true);
  std::rethrow_exception(failure);
}

/// Plans a batch, or fails on all ranks where it is refused.
void plan_or_refuse(Communicator<Cpu>& communicator, Stream<Cpu>& stream, const LookupShape& shape,
                    const LookupInput& input, const Counts& counts, AskerState<Cpu>& asker) {
  try {
    plan_batch(stream, shape, input, asker);
  } catch (const Error&) {
    refuse_batch(communicator, stream, shape, counts, std::current_exception());
  }
}

/// Gives the asker the rows that were found and the states of bags, or the places of its rows.
void bring_answers(Communicator<Cpu>& communicator, Stream<Cpu>& stream, const LookupShape& shape,
                   const std::vector<Table<Cpu>*>& tables, bool inference,
                   LookupState<Cpu>& state) {
  AskerState<Cpu>& asker = state.asker;
  OwnerState<Cpu>& owner = state.owner;
  if (pools_in_place(shape, asker)) {
    asker.rows = locate_rows(stream, tables, inference, owner);
    return;
  }
  read_rows(stream, shape, tables, inference, owner);
  asker.values =
      return_answers(communicator, stream, asker, owner, answer_keys(stream, shape, owner));
}

}  // namespace

template <>
LookupTrace<Cpu> Lookup<Cpu>::forward(Stream<Cpu>& stream, const LookupInput& input, bool training,
                                      Span<const std::int64_t> carry,
                                      Span<const MatrixView<float>> pooled) {
  auto state = std::make_unique<LookupState<Cpu>>();
  AskerState<Cpu>& asker = state->asker;
  OwnerState<Cpu>& owner = state->owner;
  const LookupShape& shape = *shape_;
  const Counts counts{shape.tables(), static_cast<std::int64_t>(carry.size())};

  // Ids: what is asked, of whom, and in which form.
  plan_or_refuse(*communicator_, stream, shape, input, counts, asker);
  plan_parts(shape, communicator_->rank(), asker);
  plan_answers(stream, shape, asker);
  const std::vector<std::int64_t> word_counts =
      read_counts(exchange_counts(*communicator_, stream, counts, asker, carry), counts, *state);

  // There: keys and parts.
  asker.keys = Exchange<Cpu>(*communicator_, per_rank(sizes_of(asker.distinct.blocks), shape.ranks),
                             per_rank(sizes_of(owner.blocks), shape.ranks));
  if (shape.ranks > 1) {
    owner.keys = {stream, asker.keys.received()};
    asker.keys.forward(stream, asker.distinct.keys.data(), owner.keys.data());
  }
  owner.received = shape.ranks == 1 ? std::as_const(asker.distinct.keys).span()
                                    : std::as_const(owner.keys).span();
  if (any_reducible(shape)) {
    owner.parts = exchange_parts(*communicator_, stream, shape, asker, word_counts, owner.blocks,
                                 owner.received);
  }

  // And back: rows and states.
  find_rows(stream, shape, tables_, owner);
  bring_answers(*communicator_, stream, shape, tables_, !training, *state);
  pool_answers(stream, shape, asker, pooled);
  asker.rows = {};  // rows change from here on

  state->traffic = traffic_of(shape, communicator_->rank(), input, asker, owner);
  return LookupTrace<Cpu>(std::move(state));
}

template <>
void Lookup<Cpu>::refuse(Stream<Cpu>& stream, std::exception_ptr failure) {
  refuse_batch(*communicator_, stream, *shape_, {shape_->tables(), 0}, failure);
}

template <>
void Lookup<Cpu>::backward(Stream<Cpu>& stream, const LookupTrace<Cpu>& trace,
                           Span<const MatrixView<const float>> gradients) {
  const LookupShape& shape = *shape_;
  const AskerState<Cpu>& asker = trace.state().asker;
  const OwnerState<Cpu>& owner = trace.state().owner;
  GradientMessage<Cpu> message = sum_gradients(stream, shape, asker, gradients);
  if (shape.ranks == 1 && message.masks.empty() && owner.parts.parts.empty()) {
    keep_gradients(stream, shape, tables_, owner, std::move(message));
    return;
  }

  ReceivedGradients<Cpu> received;
  received.slices = asker.slices;
  std::vector<char> several(static_cast<std::size_t>(shape.ranks));
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    several[static_cast<std::size_t>(rank)] =
        nodes_of(run_of(rank, shape.ranks, asker.slices)).size() > 1;
  }
  received.masks.assign(static_cast<std::size_t>(asker.keys.received()), 1);
  if (std::count(several.begin(), several.end(), 1) > 0) {
    received.masks = exchange_numbers(*communicator_, stream, asker.keys, message.masks, several);
  }
  if (shape.counts_occurrences) {
    received.counts = exchange_numbers(*communicator_, stream, asker.keys, message.counts,
                                       std::vector<char>(several.size(), 1));
  }
  plan_received(shape, owner, received);
  if (shape.ranks == 1) {
    received.floats = std::move(message.floats);
  } else {
    received.floats = {stream, received.layout.size()};
    Exchange<Cpu>(*communicator_, message.float_counts, received.layout.counts)
        .forward(stream, message.floats.data(), received.floats.data());
  }
  fold_gradients(stream, shape, tables_, owner, received);
}

}  // namespace keyshard
