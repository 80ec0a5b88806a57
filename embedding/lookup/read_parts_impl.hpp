// Reads the parts of bags that came to their owner.
#pragma once

#include <vector>

#include "embedding/lookup/make_parts_impl.hpp"
#include "embedding/lookup/reduced.hpp"
#include "runtime/error.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// Sets where the items of received parts start.
struct PlaceItems {
  BagPart* parts;
  const std::int64_t* places;

  KEYSHARD_HD void operator()(std::int64_t p) const { parts[p].items = places[p]; }
};

/// Sets where states and backward messages of received parts start in their blocks.
struct PlaceMessages {
  BagPart* parts;
  const std::int64_t* part_starts;  ///< of blocks
  const std::int64_t* states;
  const std::int64_t* backs;

  KEYSHARD_HD void operator()(std::int64_t p) const {
    const std::int64_t first = part_starts[parts[p].block];
    parts[p].state = states[p] - states[first];
    parts[p].back = backs[p] - backs[first];
  }
};

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
                        .feature = header.feature & ~PartHeader::kWeighted,
                        .slice = header.slice,
                        .count = header.count,
                        .weighted = (header.feature & PartHeader::kWeighted) != 0 ? 1u : 0u,
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

/// Whether a part does not fit its block: its feature reads another table or takes no weights, or
/// an item is no key of the block. Items are checked where `items` is not null. A whole part counts
/// as kWhole where it has weights.
struct BrokenPart {
  static constexpr std::int64_t kWhole = std::int64_t{1} << 32;  ///< more than there are parts

  ShapeRef shape;
  const BagPart* parts;
  const std::uint32_t* items;
  const std::int64_t* item_places;
  const std::int64_t* key_starts;

  struct Term {
    const BrokenPart* in;
    std::int64_t block;

    KEYSHARD_HD std::int64_t operator()(std::int64_t p) const {
      const BagPart& part = in->parts[p];
      return !fits(part, p) ? 1 : part.weighted != 0 ? kWhole : 0;
    }

    KEYSHARD_HD bool fits(const BagPart& part, std::int64_t p) const {
      const ShapeRef& shape = in->shape;
      if (part.feature >= shape.num_features ||
          shape.features[part.feature].table != block % shape.tables) {
        return false;
      }
      const FeatureGroup* groups = shape.groups + part.feature * shape.num_groups;
      for (std::int64_t g = 0; g < shape.num_groups; ++g) {
        if (groups[g].kind_of(part.weighted != 0) == kNoCombiner) {
          return false;
        }
      }
      const std::int64_t keys = in->key_starts[block + 1] - in->key_starts[block];
      for (std::uint32_t j = 0; in->items != nullptr && j < part.count; ++j) {
        if (in->items[in->item_places[p] + j] >= keys) {
          return false;
        }
      }
      return true;
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

/// Whether some parts have weights. Throws Error{communication} where parts do not fit their
/// blocks.
template <Backend B>
bool check_parts(Stream<B>& stream, const ReceivedBlocks& blocks, const PartsOfBlocks& in,
                 const Buffer<std::int64_t, B>& item_places) {
  const std::vector<std::int64_t> item_starts = values_at(stream, item_places, blocks.part_starts);
  for (std::size_t b = 0; b < item_starts.size(); ++b) {
    require_whole(item_starts[b] == blocks.item_starts[b], b);
  }
  const std::vector<std::int64_t> broken =
      sum_runs(stream, Span<const std::int64_t>(blocks.part_starts),
               BrokenPart{in.shape, in.parts, in.items, item_places.data(), in.key_starts});
  bool weighted = false;
  for (std::size_t b = 0; b < broken.size(); ++b) {
    require_whole(broken[b] % BrokenPart::kWhole == 0, b);
    weighted = weighted || broken[b] > 0;
  }
  return weighted;
}

/// Reads the parts whose headers and items `parts` has received, and sets everything else in
/// `parts`. `shards` are the shards of the received keys. Throws Error{communication} where parts
/// do not fit their blocks.
template <Backend B>
void read_parts(Stream<B>& stream, const LookupShape& shape, const ReceivedBlocks& blocks,
                const std::uint16_t* shards, BagParts<B>& parts) {
  const DeviceShape<B> device(stream, shape);
  const std::int64_t n = parts.headers.size();
  parts.parts = {stream, n};
  for_each_run(stream, Span<const std::int64_t>(blocks.part_starts),
               TakeHeaders{parts.headers.data(), parts.parts.data()});
  Buffer<std::int64_t, B> keys_storage, starts_storage, item_places(stream, n + 1);
  const PartsOfBlocks in{
      .shape = device.ref,
      .parts = parts.parts.data(),
      .order = nullptr,
      .items = parts.items.data(),
      .key_starts = device_view<std::int64_t>(stream, blocks.key_starts, keys_storage),
      .shards = shards};
  scan(stream, n, ItemsOfPart{in}, item_places.data());
  parts.weighted = check_parts(stream, blocks, in, item_places);
  for_each(stream, n, PlaceItems{parts.parts.data(), item_places.data()});
  const PartPlaces<B> places(stream, in, n);
  for_each(stream, n,
           PlaceMessages{parts.parts.data(),
                         device_view<std::int64_t>(stream, blocks.part_starts, starts_storage),
                         places.states.data(), places.backs.data()});
  count_parts(stream, places, blocks.part_starts, parts);
}

}  // namespace keyshard
