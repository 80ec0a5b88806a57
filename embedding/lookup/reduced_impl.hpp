// Makes the parts of a batch at the asker and reads them at the owner.
#pragma once

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
  const std::uint16_t* shards;
  const std::uint16_t* slice_of;

  KEYSHARD_HD std::int64_t owner(std::int64_t i) const {
    return owner_of(shards[items[i]], shape.ranks, kShards);
  }

  /// Calls body(owner, begin, end) for the part of each owner of a bag of a reduced table.
  template <class Body>
  KEYSHARD_HD void for_parts(std::int64_t bag, const Body& body) const {
    const std::int64_t f = bag % by_features.divisor();
    if (reduced[shape.features[f].table] == 0) {
      return;
    }
    const std::int64_t end = bags.begin(bag) + bags.size(bag);
    for (std::int64_t i = bags.begin(bag); i < end;) {
      const std::int64_t rank = owner(i);
      std::int64_t stop = i + 1;
      while (stop < end && owner(stop) == rank) {
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
    return count_nodes(shape, of.count,
                       [&](std::uint32_t j) { return shards[first + items[of.items + j]]; });
  }
};

struct ItemsOfPart {
  PartsOfBlocks in;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const { return in.part(i).count; }
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

/// Sets the places of parts in their blocks, and writes what travels of them.
struct PlaceParts {
  BagPart* parts;
  const std::uint32_t* order;       ///< null: as they stand
  const std::int64_t* part_starts;  ///< of blocks
  const std::int64_t* item_places;
  const std::int64_t* state_places;
  const std::int64_t* back_places;
  PartHeader* headers;             ///< null at the owner
  std::uint32_t* items;            ///< likewise
  const std::uint32_t* inverse;    ///< likewise
  const std::int64_t* key_starts;  ///< likewise

  std::int64_t work() const { return 20; }

  KEYSHARD_HD void operator()(std::int64_t i) const {
    BagPart& part = parts[order == nullptr ? i : order[i]];
    const std::int64_t first = part_starts[part.block];
    part.state = state_places[i] - state_places[first];
    part.back = back_places[i] - back_places[first];
    if (headers == nullptr) {
      part.items = item_places[i];
      return;
    }
    headers[i] = {part.count, part.feature, part.slice};
    for (std::uint32_t j = 0; j < part.count; ++j) {
      items[item_places[i] + j] =
          inverse[part.items + j] - static_cast<std::uint32_t>(key_starts[part.block]);
    }
  }
};

/// array[at[i]] for every i, for host plans. Waits.
template <Backend B>
std::vector<std::int64_t> values_at(Stream<B>& stream, const Buffer<std::int64_t, B>& array,
                                    const std::vector<std::int64_t>& at);

struct TakeAt {
  const std::int64_t* array;
  const std::int64_t* at;
  std::int64_t* out;

  KEYSHARD_HD void operator()(std::int64_t i) const { out[i] = array[at[i]]; }
};

template <Backend B>
std::vector<std::int64_t> values_at(Stream<B>& stream, const Buffer<std::int64_t, B>& array,
                                    const std::vector<std::int64_t>& at) {
  Buffer<std::int64_t, B> storage, out(stream, static_cast<std::int64_t>(at.size()));
  for_each(stream, out.size(),
           TakeAt{array.data(), device_view<std::int64_t>(stream, at, storage), out.data()});
  return to_host(stream, out);
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
      .shards = asker.shards.data(),
      .slice_of = asker.slice_of.data()};
  const std::int64_t n = asker.samples * shape.num_features();
  BagParts<B> out;
  out.starts = {stream, n + 1};
  scan(stream, n, CountParts{bags}, out.starts.data());
  out.parts = {stream, value_at(stream, out.starts.data() + n)};
  for_each(stream, n, WriteParts{bags, out.starts.data(), out.parts.data()});

  const std::int64_t blocks = shape.ranks * shape.tables();
  const Selection<B> order =
      group_by(stream, out.parts.size(), blocks, BlockOfPart{out.parts.data()});
  const PartPlaces<B> places(stream,
                             {.shape = device.ref,
                              .parts = out.parts.data(),
                              .order = order.indices.data(),
                              .items = bags.items,
                              .key_starts = nullptr,
                              .shards = bags.shards},
                             out.parts.size());
  out.part_counts = sizes_of(order.starts);
  out.item_counts = sizes_of(values_at(stream, places.items, order.starts));
  out.state_bytes = sizes_of(values_at(stream, places.states, order.starts));
  out.back_bytes = sizes_of(values_at(stream, places.backs, order.starts));
  out.headers = {stream, out.parts.size()};
  out.items = {stream, value_at(stream, places.items.data() + out.parts.size())};
  Buffer<std::int64_t, B> starts_storage, keys_storage;
  for_each(
      stream, out.parts.size(),
      PlaceParts{
          .parts = out.parts.data(),
          .order = order.indices.data(),
          .part_starts = device_view<std::int64_t>(stream, order.starts, starts_storage),
          .item_places = places.items.data(),
          .state_places = places.states.data(),
          .back_places = places.backs.data(),
          .headers = out.headers.data(),
          .items = out.items.data(),
          .inverse = bags.items,
          .key_starts = device_view<std::int64_t>(stream, asker.distinct.blocks, keys_storage)});
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

/// Decides which tables this rank asks in reduced form, by the bytes that go to other ranks where
/// the table leaves it open, and makes the parts of their bags.
template <Backend B>
void plan_parts(Stream<B>& stream, const LookupShape& shape, std::int64_t rank,
                AskerState<B>& asker) {
  const auto tables = static_cast<std::size_t>(shape.tables());
  asker.reduced.assign(tables, 0);
  for (std::size_t t = 0; t < tables; ++t) {
    asker.reduced[t] = shape.modes[t] != ExchangeMode::rows ? 1 : 0;
  }
  if (!shape.any_reducible()) {
    return;
  }
  asker.parts = make_parts(stream, shape, asker);
  const bool open = std::find(shape.modes.begin(), shape.modes.end(), ExchangeMode::automatic) !=
                    shape.modes.end();
  if (!open) {
    return;
  }
  const SliceNodes<B> nodes(stream, asker.run, asker.slices);
  const std::vector<std::int64_t> partials =
      sum_runs(stream, Span<const std::int64_t>(asker.distinct.blocks),
               NodesOfKey{key_nodes(shape, asker, nodes)});
  bool changed = false;
  for (std::size_t t = 0; t < tables; ++t) {
    std::int64_t rows = 0, reduced = 0;  // 4 bytes each
    for (std::int64_t owner = 0; owner < shape.ranks; ++owner) {
      const std::size_t b = static_cast<std::size_t>(owner) * tables + t;
      if (owner != rank) {
        rows +=
            (asker.distinct.blocks[b + 1] - asker.distinct.blocks[b] + partials[b]) * shape.dims[t];
        reduced += asker.parts.words(b) + (asker.parts.state_bytes[b] + asker.parts.back_bytes[b]) /
                                              static_cast<std::int64_t>(sizeof(float));
      }
    }
    if (shape.modes[t] == ExchangeMode::automatic && reduced >= rows) {
      asker.reduced[t] = 0;
      changed = true;
    }
  }
  if (changed) {
    asker.parts = make_parts(stream, shape, asker);
  }
}

/// Sets what a received header says of a part; its block is the run.
struct TakeHeaders {
  const PartHeader* headers;
  BagPart* parts;

  struct Row {
    const TakeHeaders* in;
    std::uint32_t block;

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t p, const Team& team) const {
      if (team.thread_rank() == 0) {
        const PartHeader& header = in->headers[p];
        in->parts[p] = {.bag = 0,
                        .block = block,
                        .feature = header.feature,
                        .slice = header.slice,
                        .count = header.count,
                        .items = 0,
                        .state = 0,
                        .back = 0};
      }
    }
  };

  std::int64_t work() const { return 3; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    body(Row{this, static_cast<std::uint32_t>(block)});
  }
};

/// Whether a part does not fit its block: another table's feature, or items beyond its keys. Its
/// items are looked at where `items` is given.
struct BrokenPart {
  ShapeRef shape;
  const BagPart* parts;
  const std::uint32_t* items;
  const std::int64_t* item_places;
  const std::int64_t* key_starts;

  struct Term {
    const BrokenPart* in;
    std::int64_t block;

    KEYSHARD_HD bool operator()(std::int64_t p) const {
      const BagPart& part = in->parts[p];
      if (part.feature >= in->shape.num_features ||
          in->shape.features[part.feature].table != block % in->shape.tables) {
        return true;
      }
      const std::int64_t keys = in->key_starts[block + 1] - in->key_starts[block];
      for (std::uint32_t j = 0; in->items != nullptr && j < part.count; ++j) {
        if (in->items[in->item_places[p] + j] >= keys) {
          return true;
        }
      }
      return false;
    }
  };

  std::int64_t work() const { return 10; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    body(Term{this, block});
  }
};

inline void require_whole(bool whole, std::size_t block) {
  require(whole, Kind::communication,
          "expected parts of bags that fit their keys: found a broken message in block {}", block);
}

/// What the owner knows of the parts that it receives, before it reads them.
struct ReceivedBlocks {
  std::vector<std::int64_t> key_starts;   ///< [ranks * tables + 1]
  std::vector<std::int64_t> part_starts;  ///< likewise
  std::vector<std::int64_t> item_starts;  ///< likewise
};

/// Reads the parts whose headers and items have been received into `parts`. `shards` are those of
/// the received keys. Throws Error{communication} where they do not hold together.
template <Backend B>
void read_parts(Stream<B>& stream, const LookupShape& shape, const ReceivedBlocks& blocks,
                const std::uint16_t* shards, BagParts<B>& parts) {
  const DeviceShape<B> device(stream, shape);
  const std::int64_t n = parts.headers.size();
  const Span<const std::int64_t> runs(blocks.part_starts);
  parts.parts = {stream, n};
  for_each_run(stream, runs, TakeHeaders{parts.headers.data(), parts.parts.data()});
  Buffer<std::int64_t, B> keys_storage, starts_storage, item_places(stream, n + 1);
  PartsOfBlocks in{.shape = device.ref,
                   .parts = parts.parts.data(),
                   .order = nullptr,
                   .items = parts.items.data(),
                   .key_starts = device_view<std::int64_t>(stream, blocks.key_starts, keys_storage),
                   .shards = shards};
  scan(stream, n, ItemsOfPart{in}, item_places.data());
  const std::vector<std::int64_t> item_starts = values_at(stream, item_places, blocks.part_starts);
  for (std::size_t b = 0; b < item_starts.size(); ++b) {
    require_whole(item_starts[b] == blocks.item_starts[b], b);
  }
  const std::vector<std::int64_t> broken =
      sum_runs(stream, runs,
               BrokenPart{device.ref, parts.parts.data(), parts.items.data(), item_places.data(),
                          in.key_starts});
  for (std::size_t b = 0; b < broken.size(); ++b) {
    require_whole(broken[b] == 0, b);
  }

  const std::int64_t* part_starts =
      device_view<std::int64_t>(stream, blocks.part_starts, starts_storage);
  PlaceParts place{.parts = parts.parts.data(),
                   .order = nullptr,
                   .part_starts = part_starts,
                   .item_places = item_places.data(),
                   .state_places = item_places.data(),
                   .back_places = item_places.data(),
                   .headers = nullptr,
                   .items = nullptr,
                   .inverse = nullptr,
                   .key_starts = nullptr};
  for_each(stream, n, place);  // nodes are counted from the items
  const PartPlaces<B> places(stream, in, n);
  place.state_places = places.states.data();
  place.back_places = places.backs.data();
  for_each(stream, n, place);
  parts.part_counts = sizes_of(blocks.part_starts);
  parts.item_counts = sizes_of(blocks.item_starts);
  parts.state_bytes = sizes_of(values_at(stream, places.states, blocks.part_starts));
  parts.back_bytes = sizes_of(values_at(stream, places.backs, blocks.part_starts));
}

}  // namespace keyshard
