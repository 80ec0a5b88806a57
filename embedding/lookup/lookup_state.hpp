// What a lookup holds between its stages and from forward to backward: the side of the rank that
// asks, the side that owns, and the layout of the messages between them. Messages of floats lie in
// blocks: rank after rank, table after table, and in a block item after item: a row or partial sum
// per distinct key, or a state per part of a bag where the table is reduced.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "collectives/exchange.hpp"
#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/bag_part.hpp"
#include "embedding/lookup/gradient_functors.hpp"
#include "embedding/lookup/lookup.hpp"
#include "embedding/lookup/shape.hpp"
#include "runtime/for_each.hpp"
#include "embedding/rows/dedup.hpp"

namespace keyshard {

/// Where the blocks of a message start.
struct BlockLayout {
  std::vector<std::int64_t> bases;   ///< [ranks * tables + 1]
  std::vector<std::int64_t> counts;  ///< [ranks] of each rank's part

  BlockLayout() = default;
  BlockLayout(const std::vector<std::int64_t>& sizes, std::int64_t ranks);

  std::int64_t size() const { return bases.empty() ? 0 : bases.back(); }
};

/// The parts of bags of reduced tables, on one side: bag after bag at the asker, block after block
/// at the owner.
struct BagParts {
  std::vector<BagPart> parts;
  std::vector<std::int64_t>
      starts;  ///< asker: [bags + 1] in parts; empty where no table is reduced
  std::vector<std::uint32_t> words;        ///< their structure as it travels, block after block
  std::vector<std::uint16_t> shards;       ///< owner: of the received keys
  std::vector<std::int64_t> word_counts;   ///< [ranks * tables]
  std::vector<std::int64_t> state_floats;  ///< [ranks * tables]
  std::vector<std::int64_t> back_floats;   ///< [ranks * tables]
};

template <Backend B>
struct AskerState {
  std::int64_t samples = 0;
  std::int64_t slices = 1;
  Range run;
  Buffer<std::uint16_t, B> slice_of;    ///< [samples]
  Buffer<std::int64_t, B> bag_offsets;  ///< empty where every bag has one id
  Buffer<std::uint32_t, B> bag_of;      ///< [occurrences]; empty likewise
  Distinct<B> distinct;
  Buffer<std::uint16_t, B>
      shards;                 ///< of the distinct keys; empty where no table is pooled by shard
  std::vector<char> reduced;  ///< per table: asked in reduced form
  BagParts parts;
  Exchange<B> keys;
  BlockLayout answers;                    ///< floats that come back
  Buffer<std::int64_t, B> value_offsets;  ///< of the distinct keys in `values`; empty where uniform
  Buffer<float, B> values;                ///< the answers
  Buffer<const float*, B> rows;           ///< where each distinct key's lies, if it is not copied
  Buffer<float, B> states;                ///< [samples x kept_floats]

  BagRanges bags() const { return {bag_offsets.size() == 0 ? nullptr : bag_offsets.data()}; }
};

template <Backend B>
struct OwnerState {
  std::vector<std::int64_t> blocks;  ///< [ranks * tables + 1] of received keys
  Buffer<Key, B> keys;               ///< that travelled here; empty on a rank that is alone
  Span<const Key> received;  ///< in blocks: `keys`, or those of the asker of the rank that is alone
  Distinct<B>
      distinct;  ///< of the received keys; empty on one rank, where they are distinct already
  Buffer<RowId, B> rows;                 ///< of the distinct keys
  std::vector<std::int64_t> firsts;      ///< [tables + 1] where a table's distinct keys start
  std::vector<std::int64_t> bases;       ///< [tables + 1] where a table's values start in `values`
  Buffer<float, B> values;               ///< of the distinct keys; moved to the asker on one rank
  std::vector<Buffer<float, B>> absent;  ///< [tables] of keys without a row, if rows are not copied
  std::vector<char> reduced;             ///< [ranks * tables]
  BagParts parts;
  BlockLayout answers;
};

template <Backend B>
struct LookupState {
  AskerState<B> asker;
  OwnerState<B> owner;
  std::vector<std::int64_t> carried;
  LookupTraffic traffic;
};

/// What is fetched ahead together: so many floats of rows, and at most so many occurrences of keys,
/// fit the first cache twice.
inline constexpr std::uint32_t kFetchedOccurrences = 192;

/// Rows or samples of that many floats in a block that is fetched ahead.
inline std::int64_t block_of(std::int64_t floats) {
  return std::clamp<std::int64_t>(kFetchedFloats / std::max<std::int64_t>(floats, 1), 1, 64);
}

// The stages of forward, in order, and those of backward.

/// Learns bags and slices of the batch, deduplicates its ids, and orders bags by shard where tables
/// want it.
template <Backend B>
void plan_batch(Stream<B>& stream, const LookupShape& shape, const LookupInput& input,
                AskerState<B>& asker);

/// Decides which tables this rank asks in reduced form (by the bytes that go to other ranks where
/// the table leaves it open) and makes the parts of their bags.
template <Backend B>
void plan_parts(const LookupShape& shape, std::int64_t rank, AskerState<B>& asker);

/// Reads the structure of the parts that other ranks sent: `words` of the blocks that are reduced,
/// block after block. Throws Error{communication} where it does not hold together.
BagParts read_parts(const LookupShape& shape, const std::vector<std::int64_t>& word_counts,
                    const std::vector<std::int64_t>& key_blocks, Span<const Key> received,
                    std::vector<std::uint32_t> words);

/// Reduces the parts of reduced blocks into the answers.
template <Backend B>
void reduce_parts(Stream<B>& stream, const LookupShape& shape, const OwnerState<B>& owner,
                  float* answers);

/// Folds the states of the parts of bags of reduced tables into the outputs.
template <Backend B>
void merge_parts(Stream<B>& stream, const LookupShape& shape, AskerState<B>& asker,
                 Span<const MatrixView<float>> pooled);

/// Pools the answers into the outputs.
template <Backend B>
void pool_answers(Stream<B>& stream, const LookupShape& shape, AskerState<B>& asker,
                  Span<const MatrixView<float>> pooled);

/// Whether bags are pooled from the tables themselves, on a rank that is alone, so that rows need
/// no copy: where no backward needs them and no table is reduced.
template <Backend B>
bool pools_in_place(const LookupShape& shape, const AskerState<B>& asker);

/// Deduplicates the received keys, which are distinct where there is one rank, and finds their
/// rows.
template <Backend B>
void find_rows(Stream<B>& stream, const LookupShape& shape, const std::vector<Table<B>*>& tables,
               OwnerState<B>& owner);

/// Copies the values of the rows that were found into owner.values.
template <Backend B>
void read_rows(Stream<B>& stream, const LookupShape& shape, const std::vector<Table<B>*>& tables,
               bool inference, OwnerState<B>& owner);

/// Learns where the rows that were found lie, for the asker of the same rank.
template <Backend B>
Buffer<const float*, B> locate_rows(Stream<B>& stream, const std::vector<Table<B>*>& tables,
                                    bool inference, OwnerState<B>& owner);

/// The answers, laid out as owner.answers: rows of the received keys, and reduced parts.
template <Backend B>
Buffer<float, B> answer_keys(Stream<B>& stream, const LookupShape& shape, OwnerState<B>& owner);

/// What the asker sends back: partial sums per key and node, and backward messages of bags.
template <Backend B>
struct GradientMessage {
  std::vector<std::uint32_t>
      masks;  ///< [distinct] nodes with a partial; empty where the rank's run is one node
  std::vector<std::uint32_t>
      counts;  ///< [distinct] occurrences; empty where no table asks for them
  std::vector<std::int64_t> float_counts;  ///< [ranks]
  Buffer<float, B> floats;
};

template <Backend B>
GradientMessage<B> sum_gradients(Stream<B>& stream, const LookupShape& shape,
                                 const AskerState<B>& asker,
                                 Span<const MatrixView<const float>> gradients);

/// The same message as the owner gets it from all ranks.
template <Backend B>
struct ReceivedGradients {
  std::int64_t slices = 1;
  std::vector<std::uint32_t> masks;    ///< [received]; of keys of ranks whose run is one node: 1
  std::vector<std::uint32_t> counts;   ///< [received], or empty
  BlockLayout layout;                  ///< of `floats`
  std::vector<std::int64_t> partials;  ///< [received] where the partials of a key start
  Buffer<float, B> floats;
};

/// Learns from the masks how many floats each rank sends: fills in layout and partials.
template <Backend B>
void plan_received(const LookupShape& shape, const OwnerState<B>& owner,
                   ReceivedGradients<B>& gradients);

/// Gives each table its sums on a rank that is alone: they stand in the message as they are, one
/// partial a key.
template <Backend B>
void keep_gradients(Stream<B>& stream, const LookupShape& shape,
                    const std::vector<Table<B>*>& tables, const OwnerState<B>& owner,
                    GradientMessage<B> message);

/// Folds what all askers sent and gives each table its sums.
template <Backend B>
void fold_gradients(Stream<B>& stream, const LookupShape& shape,
                    const std::vector<Table<B>*>& tables, const OwnerState<B>& owner,
                    const ReceivedGradients<B>& gradients);

}  // namespace keyshard
