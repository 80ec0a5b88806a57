// Makes the parts of bags at the asker.
#pragma once

#include <bit>
#include <utility>
#include <vector>

#include "embedding/lookup/asker.hpp"
#include "embedding/lookup/reduced.hpp"
#include "embedding/lookup/slice_nodes.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// The bags of a batch whose ids are in the order of shards.
struct OrderedBags {
  ShapeRef shape;
  Divider by_features;
  const std::uint8_t* reduced;  ///< of each table
  BagRanges bags;
  const std::uint32_t* items;
  const float* weights;  ///< beside `items`; null where no feature has weights
  const std::uint16_t* shards;
  const std::uint16_t* slice_of;

  KEYSHARD_HD std::int64_t owner(std::int64_t table, std::int64_t i) const {
    return shape.owners.owner(table, shards[items[i]]);
  }

  /// Calls body(owner, begin, end) for the part of each owner of a bag of a reduced table.
  template <class Body>
  KEYSHARD_HD void for_parts(std::int64_t bag, const Body& body) const {
    const std::int64_t f = bag % by_features.divisor();
    const std::int64_t table = shape.features[f].table;
    if (reduced[table] == 0) {
      return;
    }
    const std::int64_t end = bags.begin(bag) + bags.size(bag);
    for (std::int64_t i = bags.begin(bag); i < end;) {
      const std::int64_t rank = owner(table, i);
      std::int64_t stop = i + 1;
      while (stop < end && owner(table, stop) == rank) {
        ++stop;
      }
      body(rank, i, stop);
      i = stop;
    }
  }
};

struct CountParts {
  OrderedBags in;

  std::int64_t work() const { return 20; }

  KEYSHARD_HD std::int64_t operator()(std::int64_t bag) const {
    std::int64_t parts = 0;
    in.for_parts(bag, [&](std::int64_t, std::int64_t, std::int64_t) { ++parts; });
    return parts;
  }
};

struct WriteParts {
  OrderedBags in;
  const std::int64_t* starts;  ///< [bags + 1]
  BagPart* parts;

  std::int64_t work() const { return 20; }

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    const std::uint32_t sample = in.by_features.quotient(static_cast<std::uint32_t>(bag));
    const auto f = static_cast<std::uint32_t>(bag - std::int64_t{sample} * in.shape.num_features);
    BagPart* part = parts + starts[bag];
    in.for_parts(bag, [&](std::int64_t rank, std::int64_t begin, std::int64_t end) {
      *part++ = {
          .bag = static_cast<std::uint32_t>(bag),
          .block = static_cast<std::uint32_t>(rank * in.shape.tables + in.shape.features[f].table),
          .feature = f,
          .slice = in.slice_of[sample],
          .count = static_cast<std::uint32_t>(end - begin),
          .weighted = in.shape.features[f].weighted ? 1u : 0u,
          .items = begin,
          .state = 0,
          .back = 0};
    });
  }
};

struct BlockOfPart {
  const BagPart* parts;

  KEYSHARD_HD std::int64_t operator()(std::int64_t p) const { return parts[p].block; }
};

/// The parts of one side in the order of blocks, and the shards of their ids.
struct PartsOfBlocks {
  ShapeRef shape;
  const BagPart* parts;
  const std::uint32_t* order;      ///< parts, block after block; null: as they stand
  const std::uint32_t* items;      ///< where BagPart::items points
  const std::int64_t* key_starts;  ///< of blocks, added to an item; null: items are keys already
  const std::uint16_t* shards;     ///< of keys

  KEYSHARD_HD const BagPart& part(std::int64_t i) const {
    return parts[order == nullptr ? i : order[i]];
  }

  KEYSHARD_HD std::int64_t nodes(const BagPart& of) const {
    const std::int64_t first = key_starts == nullptr ? 0 : key_starts[of.block];
    return count_nodes(shape.nodes_of(of.feature), of.count,
                       [&](std::uint32_t j) { return shards[first + items[of.items + j]]; });
  }
};

struct ItemsOfPart {
  PartsOfBlocks in;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const { return in.part(i).words(); }
};

struct StateOfPart {
  PartsOfBlocks in;

  std::int64_t work() const { return 10; }

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
    const BagPart& part = in.part(i);
    return in.nodes(part) * in.shape.features[part.feature].state_bytes;
  }
};

struct BackOfPart {
  PartsOfBlocks in;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
    return in.shape.features[in.part(i).feature].back_bytes;
  }
};

/// Where the items, states and backward messages of parts start, in the order of blocks.
template <Backend B>
struct PartPlaces {
  Buffer<std::int64_t, B> items;  ///< [parts + 1]
  Buffer<std::int64_t, B> states;
  Buffer<std::int64_t, B> backs;

  PartPlaces(Stream<B>& stream, const PartsOfBlocks& in, std::int64_t n)
      : items(stream, n + 1), states(stream, n + 1), backs(stream, n + 1) {
    scan(stream, n, ItemsOfPart{in}, items.data());
    scan(stream, n, StateOfPart{in}, states.data());
    scan(stream, n, BackOfPart{in}, backs.data());
  }
};

/// Sets the places of the asker's parts in their blocks, and writes their headers, items and
/// weights.
struct PlaceParts {
  BagPart* parts;
  const std::uint32_t* order;
  const std::int64_t* part_starts;  ///< of blocks
  const std::int64_t* item_places;
  const std::int64_t* state_places;
  const std::int64_t* back_places;
  PartHeader* headers;
  std::uint32_t* items;
  const std::uint32_t* inverse;
  const float* weights;            ///< beside `inverse`
  const std::int64_t* key_starts;  ///< of blocks

  std::int64_t work() const { return 20; }

  KEYSHARD_HD void operator()(std::int64_t i) const {
    BagPart& part = parts[order[i]];
    const std::int64_t first = part_starts[part.block];
    part.state = state_places[i] - state_places[first];
    part.back = back_places[i] - back_places[first];
    headers[i] = {part.count, part.feature | part.weighted * PartHeader::kWeighted, part.slice};
    std::uint32_t* words = items + item_places[i];
    for (std::uint32_t j = 0; j < part.count; ++j) {
      words[j] = inverse[part.items + j] - static_cast<std::uint32_t>(key_starts[part.block]);
    }
    for (std::uint32_t j = 0; part.weighted != 0 && j < part.count; ++j) {
      words[part.count + j] = std::bit_cast<std::uint32_t>(weights[part.items + j]);
    }
  }
};

struct TakeAt {
  const std::int64_t* array;
  const std::int64_t* at;
  std::int64_t* out;

  KEYSHARD_HD void operator()(std::int64_t i) const { out[i] = array[at[i]]; }
};

/// array[at[i]] for every i of a host plan. Waits.
template <Backend B>
std::vector<std::int64_t> values_at(Stream<B>& stream, const Buffer<std::int64_t, B>& array,
                                    const std::vector<std::int64_t>& at) {
  Buffer<std::int64_t, B> storage, out(stream, static_cast<std::int64_t>(at.size()));
  for_each(stream, out.size(),
           TakeAt{array.data(), device_view<std::int64_t>(stream, at, storage), out.data()});
  return to_host(stream, out);
}

/// Counts the parts, items and bytes of each block. `starts` has where the parts of each block
/// start.
template <Backend B>
void count_parts(Stream<B>& stream, const PartPlaces<B>& places,
                 const std::vector<std::int64_t>& starts, BagParts<B>& out) {
  out.part_counts = sizes_of(starts);
  out.item_counts = sizes_of(values_at(stream, places.items, starts));
  out.state_bytes = sizes_of(values_at(stream, places.states, starts));
  out.back_bytes = sizes_of(values_at(stream, places.backs, starts));
}

/// Orders the parts of a batch by block, and writes their headers and items.
template <Backend B>
void order_parts(Stream<B>& stream, const LookupShape& shape, const OrderedBags& bags,
                 const std::vector<std::int64_t>& key_starts, BagParts<B>& out) {
  const std::int64_t n = out.parts.size();
  const Selection<B> order =
      group_by(stream, n, shape.ranks * shape.tables(), BlockOfPart{out.parts.data()});
  const PartPlaces<B> places(stream,
                             {.shape = bags.shape,
                              .parts = out.parts.data(),
                              .order = order.indices.data(),
                              .items = bags.items,
                              .key_starts = nullptr,
                              .shards = bags.shards},
                             n);
  count_parts(stream, places, order.starts, out);
  out.headers = {stream, n};
  out.items = {stream, value_at(stream, places.items.data() + n)};
  Buffer<std::int64_t, B> starts_storage, keys_storage;
  for_each(
      stream, n,
      PlaceParts{.parts = out.parts.data(),
                 .order = order.indices.data(),
                 .part_starts = device_view<std::int64_t>(stream, order.starts, starts_storage),
                 .item_places = places.items.data(),
                 .state_places = places.states.data(),
                 .back_places = places.backs.data(),
                 .headers = out.headers.data(),
                 .items = out.items.data(),
                 .inverse = bags.items,
                 .weights = bags.weights,
                 .key_starts = device_view<std::int64_t>(stream, key_starts, keys_storage)});
}

/// Makes the parts of the bags of tables that are reduced.
template <Backend B>
BagParts<B> make_parts(Stream<B>& stream, const LookupShape& shape, const AskerState<B>& asker) {
  const DeviceShape<B> device(stream, shape);
  Buffer<std::uint8_t, B> reduced_storage;
  const OrderedBags bags{
      .shape = device.ref,
      .by_features = device.by_features,
      .reduced = device_view<std::uint8_t>(stream, asker.reduced, reduced_storage),
      .bags = asker.bags(),
      .items = asker.distinct.inverse.data(),
      .weights = asker.weights_of_items().of_ids,
      .shards = asker.shards.data(),
      .slice_of = asker.slice_of.data()};
  const std::int64_t n = asker.samples * shape.num_features();
  BagParts<B> out;
  out.starts = {stream, n + 1};
  scan(stream, n, CountParts{bags}, out.starts.data());
  out.parts = {stream, value_at(stream, out.starts.data() + n)};
  for_each(stream, n, WriteParts{bags, out.starts.data(), out.parts.data()});
  order_parts(stream, shape, bags, asker.distinct.blocks, out);
  return out;
}

/// Nodes of this rank's slices in which a key occurs.
struct NodesOfKey {
  KeyNodes in;

  struct Term {
    KeyNodes in;

    KEYSHARD_HD std::int64_t operator()(std::int64_t u) const { return std::popcount(in.mask(u)); }
  };

  std::int64_t work() const { return 5; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t /*block*/, const Body& body) const {
    body(Term{in});
  }
};

/// Sets tables with ExchangeMode::automatic to rows, where rows need no more bytes than the reduced
/// form: both ways between this rank and the others, in forward and backward, without the keys,
/// which travel in both forms. Returns whether it set one. `partials` has the number of partial
/// sums of gradients in each block.
template <Backend B>
bool prefer_rows(const LookupShape& shape, std::int64_t rank,
                 const std::vector<std::int64_t>& partials, AskerState<B>& asker) {
  const auto tables = static_cast<std::size_t>(shape.tables());
  bool changed = false;
  for (std::size_t t = 0; t < tables; ++t) {
    std::int64_t rows = 0, reduced = 0;  // bytes
    for (std::int64_t owner = 0; owner < shape.ranks; ++owner) {
      const std::size_t b = static_cast<std::size_t>(owner) * tables + t;
      if (owner != rank) {
        const std::int64_t keys = asker.distinct.blocks[b + 1] - asker.distinct.blocks[b];
        rows += shape.answer_bytes(keys, t) + shape.row_bytes(partials[b], shape.dims[t]);
        reduced +=
            asker.parts.words(b) * 4 + asker.parts.state_bytes[b] + asker.parts.back_bytes[b];
      }
    }
    if (shape.modes[t] == ExchangeMode::automatic && reduced >= rows) {
      asker.reduced[t] = 0;
      changed = true;
    }
  }
  return changed;
}

/// Decides which tables this rank asks in reduced form, and makes the parts of their bags. For
/// ExchangeMode::automatic the bytes between this rank and others decide (prefer_rows).
template <Backend B>
void plan_parts(Stream<B>& stream, const LookupShape& shape, std::int64_t rank,
                AskerState<B>& asker) {
  asker.reduced.clear();
  bool open = false;
  for (const ExchangeMode mode : shape.modes) {
    asker.reduced.push_back(mode != ExchangeMode::rows ? 1 : 0);
    open = open || mode == ExchangeMode::automatic;
  }
  if (!shape.any_reducible()) {
    return;
  }
  asker.parts = make_parts(stream, shape, asker);
  if (!open) {
    return;
  }
  const SliceNodes<B> nodes(stream, asker.run, asker.slices);
  const std::vector<std::int64_t> partials =
      sum_runs(stream, Span<const std::int64_t>(asker.distinct.blocks),
               NodesOfKey{key_nodes(shape, asker, nodes)});
  if (prefer_rows(shape, rank, partials, asker)) {
    asker.parts = make_parts(stream, shape, asker);
  }
}

}  // namespace keyshard
