// The bodies of the side that asks.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include "embedding/lookup/asker.hpp"
#include "embedding/lookup/check_bags.hpp"
#include "embedding/lookup/double_bags.hpp"
#include "embedding/lookup/merge_parts_impl.hpp"
#include "embedding/lookup/own_bags.hpp"
#include "embedding/lookup/weigh_bags.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/primitives.hpp"
#include "runtime/sort_pairs.hpp"

namespace keyshard {

/// Writes bag and table of each occurrence in a bag, and the slice of a sample.
struct SpreadBags {
  ShapeRef shape;
  Divider by_features;
  BagRanges bags;
  const std::int64_t* slice_offsets;  ///< [slices of this rank + 1]
  Range run;                          ///< slices of this rank
  std::uint32_t* bag_of;              ///< null: not wanted
  std::uint16_t* tables;              ///< of each occurrence; null: not wanted
  std::uint16_t* slice_of;            ///< of each sample

  std::int64_t work() const { return 5; }

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    const std::uint32_t sample = by_features.quotient(static_cast<std::uint32_t>(bag));
    const std::int64_t f = bag - std::int64_t{sample} * shape.num_features;
    for (std::int64_t i = bags.begin(bag); i < bags.begin(bag) + bags.size(bag); ++i) {
      if (bag_of != nullptr) {
        bag_of[i] = static_cast<std::uint32_t>(bag);
      }
      if (tables != nullptr) {
        tables[i] = shape.features[f].table;
      }
    }
    if (f == 0) {
      std::int64_t slice = 0;  // the last one that starts at or before the sample
      for (std::int64_t step = std::int64_t{1} << 15; step > 0; step /= 2) {
        slice += slice + step < run.size() && slice_offsets[slice + step] <= sample ? step : 0;
      }
      slice_of[sample] = static_cast<std::uint16_t>(run.begin + slice);
    }
  }
};

struct ShardsOfKeys {
  const Partitioner* partitioners;  ///< of each table
  std::int64_t tables;
  const Key* keys;
  std::uint16_t* shards;

  struct Row {
    const ShardsOfKeys* in;
    const Partitioner* partitioner;

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
      if (team.thread_rank() == 0) {
        in->shards[i] = static_cast<std::uint16_t>(
            visit_variant(*partitioner, [&](const auto& rule) { return rule.shard(in->keys[i]); }));
      }
    }
  };

  std::int64_t work() const { return 3; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    body(Row{this, partitioners + block % tables});
  }
};

/// An id of a bag, to be sorted by its shard.
struct ShardItem {
  std::uint16_t key;
  std::uint32_t item;
};

struct WeightedShardItem {
  std::uint16_t key;
  std::uint32_t item;
  float weight;
};

/// Orders the ids of a bag of a table that is pooled by shard: (shard, position in bag).
template <class Item>
struct SortBag {
  ShapeRef shape;
  Divider by_features;
  BagRanges bags;
  const std::uint16_t* shards;  ///< of the distinct keys
  std::uint32_t* items;         ///< inverse, bag after bag
  float* weights;               ///< beside `items`; null without weights
  Item* pairs;                  ///< [occurrences]
  Item* scratch;                ///< [occurrences]

  static constexpr bool kWeighted = std::is_same_v<Item, WeightedShardItem>;

  std::int64_t work() const { return 50; }

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    const std::int64_t f = bag % by_features.divisor();
    const std::int64_t begin = bags.begin(bag), n = bags.size(bag);
    if (n < 2 || !shape.features[f].by_shard) {
      return;
    }
    for (std::int64_t i = begin; i < begin + n; ++i) {
      if constexpr (kWeighted) {
        pairs[i] = {shards[items[i]], items[i], weights[i]};
      } else {
        pairs[i] = {shards[items[i]], items[i]};
      }
    }
    sort_pairs(pairs + begin, n, scratch + begin);
    for (std::int64_t i = begin; i < begin + n; ++i) {
      items[i] = pairs[i].item;
      if constexpr (kWeighted) {
        weights[i] = pairs[i].weight;
      }
    }
  }
};

/// Writes where the row of each key starts; keys and rows lie in blocks.
struct PlaceRows {
  const std::int64_t* blocks;  ///< of the keys
  const std::int64_t* bases;   ///< bytes before the rows of each block
  const std::int64_t* dims;    ///< of each table
  std::int64_t tables;
  std::int64_t* places;  ///< floats before each row

  struct Row {
    std::int64_t first;
    std::int64_t base;
    std::int64_t dim;
    std::int64_t* places;

    std::int64_t work() const { return 1; }

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
      if (team.thread_rank() == 0) {
        places[u] = base + (u - first) * dim;
      }
    }
  };

  std::int64_t work() const { return 1; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t b, const Body& body) const {
    body(Row{blocks[b], bases[b] / static_cast<std::int64_t>(sizeof(float)), dims[b % tables],
             places});
  }
};

inline void check_shape_of(const LookupShape& shape, const LookupInput& input) {
  const std::int64_t bags = input.samples * shape.num_features();
  require(input.bags.lists() == bags || (bags == 0 && input.bags.values.empty()),
          Kind::invalid_argument,
          "expected samples x features bags: samples {}, features {}, bags {}", input.samples,
          shape.num_features(), input.bags.lists());
  require(!shape.weighted || input.weights.size() == input.bags.values.size(),
          Kind::invalid_argument, "expected a weight for each of {} ids: found {}",
          input.bags.values.size(), input.weights.size());
  require(input.slice_offsets.size() == input.run.size() + 1 && input.slice_offsets.front() == 0 &&
              input.slice_offsets.back() == input.samples &&
              std::is_sorted(input.slice_offsets.begin(), input.slice_offsets.end()),
          Kind::invalid_argument,
          "expected {} ascending slice offsets from 0 to the number of samples {}: found {}",
          input.run.size() + 1, input.samples, input.slice_offsets.size());
}

/// Whether every bag has one id, so that a bag and its occurrence have the same number. Throws
/// Error{invalid_argument} where offsets do not ascend from 0 to the number of ids.
template <Backend B>
bool check_bags(Stream<B>& stream, const LookupInput& input) {
  const std::int64_t bags = input.bags.lists(), ids = input.bags.values.size();
  const std::int64_t runs[] = {0, bags, 2 * bags};
  const std::int64_t* offsets = input.bags.offsets.data();
  const std::vector<std::int64_t> counts = sum_runs(stream, runs, CheckBags{offsets, bags, ids});
  if (counts[1] > 0) {
    const std::int64_t front = value_at(stream, offsets), back = value_at(stream, offsets + bags);
    require(front == 0 && back == ids, Kind::invalid_argument,
            "expected bag offsets from 0 to the number of ids {}: found {} to {}", ids, front,
            back);
    fail(Kind::invalid_argument,
         "expected ascending bag offsets: found {} descents in bags 0 to {}", counts[1], bags);
  }
  return counts[0] == 0;
}

template <Backend B>
Buffer<std::uint16_t, B> shards_of(Stream<B>& stream, const LookupShape& shape, const Key* keys,
                                   const std::vector<std::int64_t>& blocks) {
  Buffer<std::uint16_t, B> shards(stream, blocks.back());
  Buffer<Partitioner, B> storage;
  for_each_run(stream, Span<const std::int64_t>(blocks),
               ShardsOfKeys{device_view<Partitioner>(stream, shape.partitioners, storage),
                            shape.tables(), keys, shards.data()});
  return shards;
}

template <class Item, Backend B>
void sort_bags(Stream<B>& stream, const LookupShape& shape, const DeviceShape<B>& device,
               AskerState<B>& asker) {
  const std::int64_t n = asker.distinct.inverse.size();
  Buffer<Item, B> pairs(stream, n), scratch(stream, n);
  for_each(stream, asker.samples * shape.num_features(),
           SortBag<Item>{.shape = device.ref,
                         .by_features = device.by_features,
                         .bags = asker.bags(),
                         .shards = asker.shards.data(),
                         .items = asker.distinct.inverse.data(),
                         .weights = asker.pooled_weights.data(),
                         .pairs = pairs.data(),
                         .scratch = scratch.data()});
}

/// Orders the ids of each bag by shard, in `inverse`, where the table of the bag is pooled by
/// shard. `occurrences` stays as it is: for the gradient of a key only the bag of an occurrence
/// counts.
template <Backend B>
void order_bags(Stream<B>& stream, const LookupShape& shape, const DeviceShape<B>& device,
                AskerState<B>& asker) {
  if (!shape.any_by_shard()) {
    return;
  }
  asker.shards = shards_of(stream, shape, asker.distinct.keys.data(), asker.distinct.blocks);
  if (asker.bag_offsets.empty()) {
    return;
  }
  if (!shape.own_combiners.empty()) {
    asker.bag_items = {stream, asker.distinct.inverse.size()};
    copy(stream, asker.distinct.inverse.data(), asker.bag_items.size(), asker.bag_items.data());
  }
  if (asker.weights.empty()) {
    sort_bags<ShardItem>(stream, shape, device, asker);
  } else {
    asker.pooled_weights = {stream, asker.weights.size()};
    copy(stream, asker.weights.data(), asker.weights.size(), asker.pooled_weights.data());
    sort_bags<WeightedShardItem>(stream, shape, device, asker);
  }
}

template <Backend B>
void plan_batch(Stream<B>& stream, const LookupShape& shape, const LookupInput& input,
                AskerState<B>& asker) {
  check_shape_of(shape, input);
  asker.samples = input.samples;
  asker.slices = input.slices;
  asker.run = input.run;
  const std::int64_t n = input.bags.values.size(), bags = input.bags.lists();
  const bool single = bags == 0 || check_bags(stream, input);
  if (!single) {
    asker.bag_offsets = {stream, bags + 1};
    copy(stream, input.bags.offsets.data(), bags + 1, asker.bag_offsets.data());
    asker.bag_of = {stream, n};
  }
  Buffer<std::uint16_t, B> tables(stream, shape.tables() > 1 ? n : 0);
  asker.slice_of = {stream, input.samples};
  const DeviceShape<B> device(stream, shape);
  Buffer<std::int64_t, B> slice_storage;
  for_each(stream, bags,
           SpreadBags{.shape = device.ref,
                      .by_features = device.by_features,
                      .bags = asker.bags(),
                      .slice_offsets = device_view(stream, input.slice_offsets, slice_storage),
                      .run = input.run,
                      .bag_of = single ? nullptr : asker.bag_of.data(),
                      .tables = tables.empty() ? nullptr : tables.data(),
                      .slice_of = asker.slice_of.data()});
  asker.distinct = dedup(stream, Occurrences{.keys = input.bags.values,
                                             .tables = tables.empty() ? nullptr : tables.data(),
                                             .partitioners = shape.partitioners,
                                             .owners = &shape.owners});
  if (shape.any_integer() && !single) {
    check_single(stream, shape, device, asker);
  }
  if (shape.weighted) {
    weigh_bags(stream, shape, input, asker);
  }
  order_bags(stream, shape, device, asker);
}

template <Backend B>
void plan_answers(Stream<B>& stream, const LookupShape& shape, AskerState<B>& asker) {
  const std::vector<std::int64_t>& blocks = asker.distinct.blocks;
  std::vector<std::int64_t> sizes = sizes_of(blocks), values = sizes;
  bool uniform = true;
  for (std::size_t b = 0; b < sizes.size(); ++b) {
    const auto table = static_cast<std::size_t>(shape.table_of(static_cast<std::int64_t>(b)));
    const bool reduced = asker.reduced[table] != 0;
    uniform = uniform && !reduced && shape.dims[table] == shape.dims.front();
    values[b] = reduced ? 0 : shape.row_bytes(sizes[b], shape.dims[table]);
    sizes[b] = reduced ? asker.parts.state_bytes[b] : shape.answer_bytes(sizes[b], table);
  }
  asker.answers_layout = BlockLayout(sizes, shape.ranks);
  asker.values_layout = shape.any_short() ? BlockLayout(values, shape.ranks) : asker.answers_layout;
  if (!uniform || shape.alignment > static_cast<std::int64_t>(sizeof(float))) {
    asker.value_offsets = place_rows(stream, shape, blocks, asker.values_layout.bases);
  }
}

template <Backend B>
Buffer<std::int64_t, B> place_rows(Stream<B>& stream, const LookupShape& shape,
                                   const std::vector<std::int64_t>& blocks,
                                   const std::vector<std::int64_t>& bases) {
  Buffer<std::int64_t, B> places(stream, blocks.back());
  Buffer<std::int64_t, B> blocks_storage, bases_storage, dims_storage;
  for_each_run(stream, Span<const std::int64_t>(blocks),
               PlaceRows{device_view<std::int64_t>(stream, blocks, blocks_storage),
                         device_view<std::int64_t>(stream, bases, bases_storage),
                         device_view<std::int64_t>(stream, shape.dims, dims_storage),
                         shape.tables(), places.data()});
  return places;
}

template <Backend B>
void pool_answers(Stream<B>& stream, const LookupShape& shape, AskerState<B>& asker,
                  Span<const MatrixView<float>> pooled) {
  asker.kept = {stream, asker.samples * shape.kept_bytes};
  const DeviceShape<B> device(stream, shape);
  Buffer<MatrixView<float>, B> pooled_storage;
  Buffer<std::uint8_t, B> reduced_storage;
  const std::int64_t bags = asker.samples * shape.num_features();
  const PoolBags pool{.shape = device.ref,
                      .by_features = device.by_features,
                      .reduced = device_view<std::uint8_t>(stream, asker.reduced, reduced_storage),
                      .rows = {asker.values, asker.value_offset(shape), asker.rows.data()},
                      .items = asker.distinct.inverse.data(),
                      .weights = asker.weights_of_items(),
                      .bags = asker.bags(),
                      .shards = asker.shards.data(),
                      .pooled = device_view(stream, pooled, pooled_storage),
                      .kept = asker.kept.data(),
                      .kept_bytes = shape.kept_bytes,
                      .ids = asker.distinct.inverse.size() / std::max<std::int64_t>(bags, 1),
                      .row_dim = shape.uniform() ? shape.dims.front() : 0};
  for_each_row(stream, bags, pool);
  merge_parts(stream, shape, asker, pool, bags);
  pool_own_bags(stream, shape, device, asker, pool.pooled);
  if constexpr (std::same_as<B, Cpu>) {
    if (shape.any_double()) {
      pool_double_bags(stream, bags, PoolDoubleBags{pool, asker.double_bag_weights.data()});
    }
  }
}

}  // namespace keyshard
