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

/// A LookupShape on a device, for the length of one call.
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
  Buffer<float, B> weights;             ///< [occurrences]; empty where no feature has weights
  Buffer<float, B> pooled_weights;      ///< the same beside `distinct.inverse`; empty where that is
                                        ///< in the order of the occurrences
  Buffer<BagWeight, B> bag_weights;     ///< [bags]; empty where no feature has weights
  Buffer<WeightOfBag<double>, B> double_bag_weights;  ///< the same where a table keeps doubles
  Distinct<B> distinct;
  Buffer<std::uint32_t, B> bag_items;  ///< `distinct.inverse` in the order of bags, for combiners
                                       ///< of the program; empty where the inverse is in that order
  Buffer<std::uint16_t, B> shards;    ///< of the distinct keys; empty where no table pools by shard
  std::vector<std::uint8_t> reduced;  ///< [tables] asked in reduced form
  BagParts<B> parts;
  Exchange<B> keys;
  BlockLayout answers_layout;             ///< in bytes
  BlockLayout values_layout;              ///< of the rows as floats, in bytes
  Buffer<std::byte, B> answers;           ///< empty where bags are pooled from the tables in place
  Buffer<std::int64_t, B> value_offsets;  ///< floats before the row of a distinct key; empty where
                                          ///< all rows have one width and follow each other
  Buffer<float, B> unpacked;              ///< all rows as floats, where a table keeps 16-bit floats
  const float* values = nullptr;          ///< rows of the distinct keys, in `answers` or `unpacked`
  Buffer<const float*, B> rows;           ///< where each row lies, where bags are pooled in place
  Buffer<std::byte, B> kept;              ///< states [samples x kept_bytes]

  BagRanges bags() const {
    return BagRanges{.offsets = bag_offsets.empty() ? nullptr : bag_offsets.data()};
  }

  /// Beside the occurrences, or beside `distinct.inverse`.
  IdWeights weights_of_occurrences() const {
    return bag_weights.empty() ? IdWeights{} : IdWeights{weights.data(), bag_weights.data()};
  }

  IdWeights weights_of_items() const {
    return {pooled_weights.empty() ? weights_of_occurrences().of_ids : pooled_weights.data(),
            weights_of_occurrences().of_bags};
  }

  /// The distinct key of each id, in the order of bags.
  const std::uint32_t* items_in_order() const {
    return bag_items.empty() ? distinct.inverse.data() : bag_items.data();
  }

  ItemOffsets value_offset(const LookupShape& shape) const {
    return {shape.dims.front(), value_offsets.empty() ? nullptr : value_offsets.data()};
  }
};

/// Learns bags and slices of the batch, deduplicates its ids, and orders bags by shard where their
/// table has that pool order. Throws Error{invalid_argument} where counts or offsets of the batch
/// do not fit each other.
template <Backend B>
void plan_batch(Stream<B>& stream, const LookupShape& shape, const LookupInput& input,
                AskerState<B>& asker);

/// Plans where the answers will lie: a block per rank and table. A block has the row of each key,
/// or the states of each part of a bag where the table is asked in reduced form.
template <Backend B>
void plan_answers(Stream<B>& stream, const LookupShape& shape, AskerState<B>& asker);

/// Pools the answers into the outputs.
template <Backend B>
void pool_answers(Stream<B>& stream, const LookupShape& shape, AskerState<B>& asker,
                  Span<const MatrixView<float>> pooled);

/// Returns the floats before the row of each key. Block b has the keys blocks[b] .. blocks[b + 1],
/// and their rows start at byte bases[b].
template <Backend B>
Buffer<std::int64_t, B> place_rows(Stream<B>& stream, const LookupShape& shape,
                                   const std::vector<std::int64_t>& blocks,
                                   const std::vector<std::int64_t>& bases);

/// The shards of keys that lie in blocks, by the partitioner of the table of each block.
template <Backend B>
Buffer<std::uint16_t, B> shards_of(Stream<B>& stream, const LookupShape& shape, const Key* keys,
                                   const std::vector<std::int64_t>& blocks);

}  // namespace keyshard
