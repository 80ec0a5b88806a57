// The way back at the owner: the messages of all askers are folded, key by key.
#pragma once

#include <algorithm>
#include <utility>

#include "embedding/lookup/fold_functors.hpp"
#include "embedding/lookup/gradients.hpp"
#include "embedding/lookup/owner_impl.hpp"
#include "embedding/lookup/sum_gradients_impl.hpp"
#include "runtime/copy.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// Marks the keys of reduced blocks as ones without a partial.
struct ClearMasks {
  const std::uint8_t* reduced;  ///< of each block
  bool given;                   ///< the masks of other blocks are there already; else they become 1
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

/// Gives each table its part of `sums`, which lie table after table; `bases` has where the sums of
/// each table start, in floats.
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

/// sums[d] = how many ids of the global batch are distinct key d.
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

/// Lists the items of part p, each with the number of its received key.
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

/// Occurrences of received keys in the parts of reduced bags, grouped by key, in the order of the
/// parts.
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
  const std::vector<std::int64_t> bases =
      value_bases(TableRefs<B>(stream, tables), Span<const std::int64_t>(owner.firsts));
  const auto kept = std::make_shared<KeptGradients<B>>();
  kept->sums = {stream, bases.back()};
  kept->counts = sum_counts(stream, owner, gradients.counts);
  kept->state = std::move(keep);
  const Buffer<std::int64_t, B> places = place_values(stream, shape, owner.firsts, bases);
  const std::vector<std::uint16_t> nodes = nodes_of_ranks(shape.ranks, gradients.slices);
  Buffer<std::uint16_t, B> nodes_storage;
  Buffer<std::int64_t, B> bases_storage;
  ReceivedTerms in{
      .shape = device.ref,
      .key_offsets = owner.distinct.offsets.data(),
      .items = owner.distinct.occurrences.data(),
      .rank_of = gradients.ranks.data(),
      .masks = gradients.masks.data(),
      .partials = gradients.partials.data(),
      .nodes = device_view<std::uint16_t>(stream, nodes, nodes_storage),
      .term_offsets = terms.offsets.data(),
      .terms = terms.items.data(),
      .parts = owner.parts.parts.data(),
      .message = gradients.bytes.data(),
      .bases = device_view<std::int64_t>(stream, gradients.layout.bases, bases_storage),
      .values = owner.values.data(),
      .value_offset = {shape.dims.front(), places.data()},
      .sums = kept->sums.data()};
  for_each_run(stream, Span<const std::int64_t>(owner.firsts), FoldKeys{in});
  add_to_tables<B>(tables, owner, kept->sums.data(), bases, kept);
}

}  // namespace keyshard
