// The bodies of the way back.
#pragma once

#include <algorithm>
#include <utility>

#include "embedding/lookup/gradient_functors.hpp"
#include "embedding/lookup/gradients.hpp"
#include "embedding/lookup/reduced_impl.hpp"
#include "embedding/lookup/slice_nodes.hpp"
#include "runtime/copy.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

struct WriteMasks {
  KeyNodes in;
  std::uint32_t* masks;

  std::int64_t work() const { return 5; }

  KEYSHARD_HD void operator()(std::int64_t u) const { masks[u] = in.mask(u); }
};

struct CountOccurrences {
  const std::uint32_t* offsets;
  std::uint32_t* counts;

  KEYSHARD_HD void operator()(std::int64_t u) const { counts[u] = offsets[u + 1] - offsets[u]; }
};

struct PartialsOfKey {
  const std::uint32_t* masks;

  KEYSHARD_HD std::int64_t operator()(std::int64_t u) const { return std::popcount(masks[u]); }
};

/// Writes where the partials of keys start, which lie in blocks.
struct PlacePartials {
  const std::int64_t* counts;  ///< [keys + 1] partials before each key; null: one a key
  const std::int64_t* blocks;  ///< of the keys
  const std::int64_t* bases;   ///< bytes before each block
  const std::int64_t* dims;    ///< of each table
  std::int64_t tables;
  std::int64_t* places;  ///< floats before the partials of each key
  std::uint16_t* ranks;  ///< of each key; null: not wanted

  struct Row {
    const PlacePartials* in;
    std::int64_t block;

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
      if (team.thread_rank() != 0) {
        return;
      }
      const std::int64_t first = in->blocks[block];
      const std::int64_t before =
          in->counts == nullptr ? u - first : in->counts[u] - in->counts[first];
      in->places[u] = in->bases[block] / static_cast<std::int64_t>(sizeof(float)) +
                      before * in->dims[block % in->tables];
      if (in->ranks != nullptr) {
        in->ranks[u] = static_cast<std::uint16_t>(block / in->tables);
      }
    }
  };

  std::int64_t work() const { return 2; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    body(Row{this, block});
  }
};

/// Where the partials of keys start in a message of blocks.
template <Backend B>
struct PartialPlan {
  BlockLayout layout;
  Buffer<std::int64_t, B> places;
  Buffer<std::uint16_t, B> ranks;
};

/// `masks` may be empty: one partial a key. A reduced block has back_bytes in their place.
template <Backend B>
PartialPlan<B> plan_partials(Stream<B>& stream, const LookupShape& shape,
                             const std::vector<std::int64_t>& blocks,
                             const Buffer<std::uint32_t, B>& masks,
                             const std::vector<std::uint8_t>& reduced,
                             const std::vector<std::int64_t>& back_bytes) {
  std::vector<std::int64_t> sizes = sizes_of(blocks);
  Buffer<std::int64_t, B> counts;
  if (!masks.empty()) {
    counts = {stream, masks.size() + 1};
    scan(stream, masks.size(), PartialsOfKey{masks.data()}, counts.data());
    sizes = sizes_of(values_at(stream, counts, blocks));
  }
  for (std::size_t b = 0; b < sizes.size(); ++b) {
    sizes[b] = reduced[b] != 0
                   ? back_bytes[b]
                   : shape.row_bytes(sizes[b], shape.dim_of(static_cast<std::int64_t>(b)));
  }
  PartialPlan<B> plan{BlockLayout(sizes, shape.ranks), {stream, blocks.back()}, {}};
  plan.ranks = {stream, blocks.back()};
  Buffer<std::int64_t, B> blocks_storage, bases_storage, dims_storage;
  for_each_run(
      stream, Span<const std::int64_t>(blocks),
      PlacePartials{.counts = counts.empty() ? nullptr : counts.data(),
                    .blocks = device_view<std::int64_t>(stream, blocks, blocks_storage),
                    .bases = device_view<std::int64_t>(stream, plan.layout.bases, bases_storage),
                    .dims = device_view<std::int64_t>(stream, shape.dims, dims_storage),
                    .tables = shape.tables(),
                    .places = plan.places.data(),
                    .ranks = plan.ranks.data()});
  return plan;
}

/// Whether the tables that the asker asked in reduced form are those of each block.
inline std::vector<std::uint8_t> reduced_blocks(const LookupShape& shape,
                                                const std::vector<std::uint8_t>& tables) {
  std::vector<std::uint8_t> blocks;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    blocks.insert(blocks.end(), tables.begin(), tables.end());
  }
  return blocks;
}

/// The plan of an asker's message; places are left out where keys have one partial each and rows of
/// one width, so that they follow from the number of the key.
template <Backend B>
PartialPlan<B> plan_message(Stream<B>& stream, const LookupShape& shape, const AskerState<B>& asker,
                            const Buffer<std::uint32_t, B>& masks) {
  if (masks.empty() && asker.value_offsets.empty()) {
    std::vector<std::int64_t> sizes = sizes_of(asker.distinct.blocks);
    for (std::int64_t& size : sizes) {
      size = shape.row_bytes(size, shape.dims.front());
    }
    return {BlockLayout(sizes, shape.ranks), {}, {}};
  }
  return plan_partials(stream, shape, asker.distinct.blocks, masks,
                       reduced_blocks(shape, asker.reduced), asker.parts.back_bytes);
}

template <Backend B>
GradientMessage<B> sum_gradients(Stream<B>& stream, const LookupShape& shape,
                                 const AskerState<B>& asker,
                                 Span<const MatrixView<const float>> gradients) {
  GradientMessage<B> message;
  const std::int64_t keys = asker.distinct.size();
  const SliceNodes<B> nodes(stream, asker.run, asker.slices);
  if (nodes.size() > 1) {
    message.masks = {stream, keys};
    for_each(stream, keys, WriteMasks{key_nodes(shape, asker, nodes), message.masks.data()});
  }
  if (shape.counts_occurrences) {
    message.counts = {stream, keys};
    for_each(stream, keys, CountOccurrences{asker.distinct.offsets.data(), message.counts.data()});
  }
  PartialPlan<B> plan = plan_message(stream, shape, asker, message.masks);
  message.layout = std::move(plan.layout);
  message.bytes = {stream, message.layout.size()};

  const DeviceShape<B> device(stream, shape);
  Buffer<std::uint8_t, B> sums_storage, reduced_storage;
  Buffer<MatrixView<const float>, B> upstream_storage;
  const KeyOccurrences in{
      .shape = device.ref,
      .by_features = device.by_features,
      .offsets = asker.distinct.offsets.data(),
      .occurrences = asker.distinct.occurrences.data(),
      .bag_of = asker.bag_of.empty() ? nullptr : asker.bag_of.data(),
      .bags = asker.bags(),
      .slice_of = asker.slice_of.data(),
      .node_of = nodes.first_of(),
      .sums = device_view<std::uint8_t>(stream, shape.sums, sums_storage),
      .upstream = device_view(stream, gradients, upstream_storage),
      .kept = const_cast<std::byte*>(asker.kept.data()),
      .kept_bytes = shape.kept_bytes,
      .values = asker.values,
      .value_offset = asker.value_offset(shape),
      .partials = reinterpret_cast<float*>(message.bytes.data()),
      .partial_offset = {shape.dims.front(), plan.places.empty() ? nullptr : plan.places.data()}};
  const std::uint8_t* reduced = device_view<std::uint8_t>(stream, asker.reduced, reduced_storage);
  for_each_run(
      stream, Span<const std::int64_t>(asker.distinct.blocks),
      SumKeys{in, reduced,
              (asker.distinct.inverse.size() + keys - 1) / std::max<std::int64_t>(keys, 1)});
  if (asker.parts.parts.empty()) {
    return message;
  }
  Buffer<std::int64_t, B> bases_storage;
  for_each_row(
      stream, asker.parts.parts.size(),
      WriteBacks{.shape = in.shape,
                 .by_features = in.by_features,
                 .parts = asker.parts.parts.data(),
                 .bags = in.bags,
                 .upstream = in.upstream,
                 .kept = in.kept,
                 .kept_bytes = in.kept_bytes,
                 .bases = device_view<std::int64_t>(stream, message.layout.bases, bases_storage),
                 .message = message.bytes.data()});
  return message;
}

/// Marks the keys of reduced blocks as ones without a partial.
struct ClearMasks {
  const std::uint8_t* reduced;  ///< of each block
  bool given;                   ///< the other masks stand already; else they become 1
  std::uint32_t* masks;

  struct Row {
    const ClearMasks* in;
    bool reduced;

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
      if (team.thread_rank() == 0 && (reduced || !in->given)) {
        in->masks[i] = reduced ? 0 : 1;
      }
    }
  };

  std::int64_t work() const { return 1; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    body(Row{this, reduced[block] != 0});
  }
};

template <Backend B>
void plan_received(Stream<B>& stream, const LookupShape& shape, const OwnerState<B>& owner,
                   ReceivedGradients<B>& gradients) {
  const bool any_reduced =
      std::find(owner.reduced.begin(), owner.reduced.end(), 1) != owner.reduced.end();
  if (any_reduced) {
    const bool given = !gradients.masks.empty();
    if (!given) {
      gradients.masks = {stream, owner.blocks.back()};
    }
    Buffer<std::uint8_t, B> storage;
    for_each_run(stream, Span<const std::int64_t>(owner.blocks),
                 ClearMasks{device_view<std::uint8_t>(stream, owner.reduced, storage), given,
                            gradients.masks.data()});
  }
  PartialPlan<B> plan = plan_partials(stream, shape, owner.blocks, gradients.masks, owner.reduced,
                                      owner.parts.back_bytes);
  gradients.layout = std::move(plan.layout);
  gradients.partials = std::move(plan.places);
  gradients.ranks = std::move(plan.ranks);
}

/// What the gradients of one call are made of, for as long as tables need it.
template <Backend B>
struct KeptGradients {
  Buffer<float, B> sums;
  Buffer<std::byte, B> message;
  Buffer<std::uint32_t, B> counts;
  std::shared_ptr<const void> state;
};

/// Gives each table its part of the sums; `sums` has them table after table, and `bases` where
/// those of a table start.
template <Backend B>
void add_to_tables(Span<Table<B>* const> tables, const OwnerState<B>& owner, float* sums,
                   const std::vector<std::int64_t>& bases,
                   std::shared_ptr<const KeptGradients<B>> keep) {
  for (std::int64_t t = 0; t < tables.size(); ++t) {
    const auto i = static_cast<std::size_t>(t);
    const std::int64_t first = owner.firsts[i];
    tables[t]->add({.size = owner.firsts[i + 1] - first,
                    .keys = owner.distinct_keys() + first,
                    .rows = const_cast<RowId*>(owner.rows.data()) + first,
                    .values = sums + bases[i],
                    .occurrences = keep->counts.empty() ? nullptr : keep->counts.data() + first,
                    .steps = owner.steps[i],
                    .keep = {keep}});
  }
}

template <Backend B>
void keep_gradients(const LookupShape& shape, Span<Table<B>* const> tables,
                    const OwnerState<B>& owner, GradientMessage<B> message,
                    std::shared_ptr<const void> keep) {
  std::vector<std::int64_t> bases;
  for (std::int64_t t = 0; t < shape.tables(); ++t) {
    bases.push_back(message.layout.bases[static_cast<std::size_t>(t)] /
                    static_cast<std::int64_t>(sizeof(float)));
  }
  const auto kept = std::make_shared<KeptGradients<B>>();
  kept->message = std::move(message.bytes);
  kept->counts = std::move(message.counts);
  kept->state = std::move(keep);
  add_to_tables<B>(tables, owner, reinterpret_cast<float*>(kept->message.data()), bases, kept);
}

/// Ids of the global batch that a distinct key stands for.
struct SumCounts {
  const std::uint32_t* offsets;  ///< null: received item d is the only one
  const std::uint32_t* items;
  const std::uint32_t* counts;
  std::uint32_t* sums;

  KEYSHARD_HD void operator()(std::int64_t d) const {
    std::uint32_t sum = offsets == nullptr ? counts[d] : 0;
    for (std::uint32_t k = offsets == nullptr ? 1 : offsets[d];
         offsets != nullptr && k < offsets[d + 1]; ++k) {
      sum += counts[items[k]];
    }
    sums[d] = sum;
  }
};

struct ListItems {
  const BagPart* parts;
  const std::uint32_t* items;
  const std::int64_t* key_starts;
  PartItem* out;

  std::int64_t work() const { return 20; }

  KEYSHARD_HD void operator()(std::int64_t p) const {
    const BagPart& part = parts[p];
    for (std::uint32_t j = 0; j < part.count; ++j) {
      out[part.items + j] = {
          static_cast<std::uint32_t>(key_starts[part.block] + items[part.items + j]),
          static_cast<std::uint32_t>(p)};
    }
  }
};

/// offsets[k] = the first of sorted items whose key is k or more.
struct ItemStarts {
  const PartItem* items;
  std::int64_t n;
  std::int64_t* offsets;

  std::int64_t work() const { return 20; }

  KEYSHARD_HD void operator()(std::int64_t k) const {
    std::int64_t begin = 0, end = n;
    while (begin < end) {
      const std::int64_t middle = (begin + end) / 2;
      if (items[middle].key < k) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    offsets[k] = begin;
  }
};

/// Occurrences of received keys in reduced bags, grouped by key, in the order in which they came.
template <Backend B>
struct ReducedTerms {
  Buffer<std::int64_t, B> offsets;  ///< [received + 1]; empty where no block is reduced
  Buffer<PartItem, B> items;

  ReducedTerms(Stream<B>& stream, const OwnerState<B>& owner) {
    if (owner.parts.parts.empty()) {
      return;
    }
    items = {stream, owner.parts.items.size()};
    Buffer<std::int64_t, B> storage;
    for_each(stream, owner.parts.parts.size(),
             ListItems{owner.parts.parts.data(), owner.parts.items.data(),
                       device_view<std::int64_t>(stream, owner.blocks, storage), items.data()});
    sort_pairs(stream, items.span());
    offsets = {stream, owner.blocks.back() + 1};
    for_each(stream, offsets.size(), ItemStarts{items.data(), items.size(), offsets.data()});
  }
};

/// First slices of the nodes of every rank's run.
inline std::vector<std::uint16_t> nodes_of_ranks(std::int64_t ranks, std::int64_t slices) {
  std::vector<std::uint16_t> first(static_cast<std::size_t>(ranks * ReceivedTerms::kMostNodes));
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    auto at = static_cast<std::size_t>(rank * ReceivedTerms::kMostNodes);
    for (const Range& node : nodes_of(run_of(rank, ranks, slices))) {
      first[at++] = static_cast<std::uint16_t>(node.begin);
    }
  }
  return first;
}

/// The counts of the distinct keys; empty where no table asks for them.
template <Backend B>
Buffer<std::uint32_t, B> sum_counts(Stream<B>& stream, const OwnerState<B>& owner,
                                    const Buffer<std::uint32_t, B>& counts) {
  Buffer<std::uint32_t, B> sums(stream, counts.empty() ? 0 : owner.firsts.back());
  const bool own = owner.distinct.keys.empty();
  for_each(stream, sums.size(),
           SumCounts{own ? nullptr : owner.distinct.offsets.data(),
                     owner.distinct.occurrences.data(), counts.data(), sums.data()});
  return sums;
}

template <Backend B>
void fold_gradients(Stream<B>& stream, const LookupShape& shape, Span<Table<B>* const> tables,
                    const OwnerState<B>& owner, const ReceivedGradients<B>& gradients,
                    std::shared_ptr<const void> keep) {
  const ReducedTerms<B> terms(stream, owner);
  const DeviceShape<B> device(stream, shape);
  const auto kept = std::make_shared<KeptGradients<B>>();
  const TableRefs<B> refs(stream, tables);
  const std::vector<std::int64_t> bases = value_bases(refs, Span<const std::int64_t>(owner.firsts));
  kept->sums = {stream, bases.back()};
  kept->counts = sum_counts(stream, owner, gradients.counts);
  kept->state = std::move(keep);
  Buffer<std::int64_t, B> offsets;
  if (std::any_of(shape.dims.begin(), shape.dims.end(),
                  [&](std::int64_t dim) { return dim != shape.dims.front(); })) {
    std::vector<std::int64_t> bytes;
    for (const std::int64_t base : bases) {
      bytes.push_back(base * static_cast<std::int64_t>(sizeof(float)));
    }
    offsets = place_rows(stream, shape, owner.firsts, bytes);
  }
  const bool own = owner.distinct.keys.empty();
  const std::vector<std::uint16_t> nodes = nodes_of_ranks(shape.ranks, gradients.slices);
  Buffer<std::uint16_t, B> nodes_storage;
  Buffer<std::int64_t, B> bases_storage;
  for_each_run(
      stream, Span<const std::int64_t>(owner.firsts),
      FoldKeys{{.shape = device.ref,
                .key_offsets = own ? nullptr : owner.distinct.offsets.data(),
                .items = own ? nullptr : owner.distinct.occurrences.data(),
                .rank_of = gradients.ranks.data(),
                .masks = gradients.masks.empty() ? nullptr : gradients.masks.data(),
                .partials = gradients.partials.data(),
                .nodes = device_view<std::uint16_t>(stream, nodes, nodes_storage),
                .term_offsets = terms.offsets.empty() ? nullptr : terms.offsets.data(),
                .terms = terms.items.data(),
                .parts = owner.parts.parts.data(),
                .message = gradients.bytes.data(),
                .bases = device_view<std::int64_t>(stream, gradients.layout.bases, bases_storage),
                .values = owner.values.data(),
                .value_offset = {shape.dims.front(), offsets.empty() ? nullptr : offsets.data()},
                .sums = kept->sums.data()}});
  add_to_tables<B>(tables, owner, kept->sums.data(), bases, kept);
}

}  // namespace keyshard
