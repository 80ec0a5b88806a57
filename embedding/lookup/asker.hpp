// The side of a rank that asks: learns the batch, deduplicates its ids, and pools the answers.
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/exchange.hpp"
#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/blocks.hpp"
#include "embedding/lookup/lookup.hpp"
#include "embedding/lookup/reduced.hpp"
#include "embedding/lookup/shape.hpp"
#include "embedding/rows/dedup.hpp"

namespace keyshard {

/// A shape on a device, for the length of one call.
template <Backend B>
struct DeviceShape {
  ShapeStorage<B> storage;
  ShapeRef ref;
  Divider by_features;

  DeviceShape(Stream<B>& stream, const LookupShape& shape)
      : ref(shape.ref(stream, storage)),
        by_features(static_cast<std::uint32_t>(shape.num_features())) {}
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
  Buffer<std::uint16_t, B> shards;  ///< of the distinct keys; empty where no bag is pooled by shard
  std::vector<std::uint8_t> reduced;  ///< [tables] asked in reduced form
  BagParts<B> parts;
  Exchange<B> keys;
  BlockLayout answers_layout;             ///< in bytes
  Buffer<std::byte, B> answers;           ///< empty on a rank that is alone and gets rows
  Buffer<std::int64_t, B> value_offsets;  ///< floats before the row of a distinct key; empty where
                                          ///< uniform
  const float* values = nullptr;          ///< rows of the distinct keys
  Buffer<const float*, B> rows;           ///< where each row lies, if rows are not copied
  Buffer<std::byte, B> kept;              ///< states [samples x kept_bytes]

  BagRanges bags() const {
    return BagRanges{.offsets = bag_offsets.empty() ? nullptr : bag_offsets.data()};
  }

  ItemOffsets value_offset(const LookupShape& shape) const {
    return {shape.dims.front(), value_offsets.empty() ? nullptr : value_offsets.data()};
  }
};

/// Learns bags and slices of the batch, deduplicates its ids, and orders bags by shard where tables
/// want it. Throws Error{invalid_argument} for a batch that does not hold together.
template <Backend B>
void plan_batch(Stream<B>& stream, const LookupShape& shape, const LookupInput& input,
                AskerState<B>& asker);

/// Learns how the answers will lie: a block per rank and table, and in a block the row of each key,
/// or the states of each part where the table is reduced.
template <Backend B>
void plan_answers(Stream<B>& stream, const LookupShape& shape, AskerState<B>& asker);

/// Pools the answers into the outputs.
template <Backend B>
void pool_answers(Stream<B>& stream, const LookupShape& shape, AskerState<B>& asker,
                  Span<const MatrixView<float>> pooled);

/// Floats before the row of each key, where keys lie in `blocks` and their rows in blocks that
/// start at `bases`, in bytes.
template <Backend B>
Buffer<std::int64_t, B> place_rows(Stream<B>& stream, const LookupShape& shape,
                                   const std::vector<std::int64_t>& blocks,
                                   const std::vector<std::int64_t>& bases);

/// The shards of keys that lie in blocks: those of block b have the partitioner of its table.
template <Backend B>
Buffer<std::uint16_t, B> shards_of(Stream<B>& stream, const LookupShape& shape, const Key* keys,
                                   const std::vector<std::int64_t>& blocks);

}  // namespace keyshard
