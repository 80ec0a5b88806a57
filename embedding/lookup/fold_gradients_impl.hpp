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

/// Spreads the masks that some of the ranks sent over all received keys, and counts the partials of
/// each key. A key of a rank that sent none has one partial, a key of some blocks has none.
struct SpreadMasks {
  const std::uint32_t* sent;
  const std::int64_t* sent_starts;  ///< [ranks] in `sent`; -1: that rank sent none
  const std::int64_t* blocks;
  const std::uint8_t* without;  ///< of each block: its keys have no partials
  std::int64_t tables;
  std::uint32_t* masks;

  struct Row {
    const std::uint32_t* from;  ///< of the first key of the rank; null: it sent none
    std::int64_t first;
    bool without;
    std::uint32_t* masks;

    KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
      masks[i] = without ? 0 : from == nullptr ? 1 : from[i - first];
      return std::popcount(masks[i]);
    }
  };

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    const std::int64_t rank = block / tables, start = sent_starts[rank];
    body(
        Row{start < 0 ? nullptr : sent + start, blocks[rank * tables], without[block] != 0, masks});
  }
};

template <Backend B>
void plan_received(Stream<B>& stream, const LookupShape& shape, const OwnerState<B>& owner,
                   const SentNumbers<B>& sent_masks, ReceivedGradients<B>& gradients) {
  RunSums<B> partials{.of_runs = sizes_of(owner.blocks)};
  const std::vector<std::uint8_t> without = blocks_without_partials(shape, owner.reduced);
  std::vector<std::int64_t> sent_starts = sent_masks.starts;
  sent_starts.resize(static_cast<std::size_t>(shape.ranks), -1);
  if (!sent_masks.starts.empty() || std::find(without.begin(), without.end(), 1) != without.end()) {
    gradients.masks = {stream, owner.blocks.back()};
    Buffer<std::int64_t, B> sent_storage, blocks_storage;
    Buffer<std::uint8_t, B> without_storage;
    partials = begin_sums(
        stream, Span<const std::int64_t>(owner.blocks),
        SpreadMasks{.sent = sent_masks.numbers.data(),
                    .sent_starts = device_view<std::int64_t>(stream, sent_starts, sent_storage),
                    .blocks = device_view<std::int64_t>(stream, owner.blocks, blocks_storage),
                    .without = device_view<std::uint8_t>(stream, without, without_storage),
                    .tables = shape.tables(),
                    .masks = gradients.masks.data()});
  }
  PartialPlan<B> plan =
      place_partials(stream, shape, owner.blocks, gradients.masks, partials,
                     layout_of_partials(shape, partials.of_runs, without, owner.parts.back_bytes));
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

/// Gives each table that is not frozen its part of `sums`, which lie table after table: `bases` has
/// where the sums of each table start, in floats, and `not_finite` how many of them are not finite.
template <Backend B>
void add_to_tables(const LookupShape& shape, Span<Table<B>* const> tables,
                   const OwnerState<B>& owner, float* sums, const std::vector<std::int64_t>& bases,
                   const std::vector<std::int64_t>& not_finite,
                   std::shared_ptr<const KeptGradients<B>> keep) {
  for (std::int64_t t = 0; t < tables.size(); ++t) {
    const auto i = static_cast<std::size_t>(t);
    if (shape.frozen[i] != 0) {
      continue;
    }
    const std::int64_t first = owner.firsts[i];
    tables[t]->add({.size = owner.firsts[i + 1] - first,
                    .keys = owner.distinct_keys() + first,
                    .rows = const_cast<RowId*>(owner.rows.data()) + first,
                    .values = sums + bases[i],
                    .occurrences = keep->counts.empty() ? nullptr : keep->counts.data() + first,
                    .steps = owner.steps[i],
                    .finite = not_finite[i] == 0,
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
  add_to_tables<B>(shape, tables, owner, reinterpret_cast<float*>(kept->message.data()), bases,
                   message.not_finite, kept);
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

/// An item with its weight.
struct WeightedPartItem {
  std::uint32_t key;
  std::uint32_t part;
  float weight;
};

/// Lists the items of part p with their weights. The words that are weights become items of no key,
/// which come after all others.
struct ListWeightedItems {
  const BagPart* parts;
  const std::uint32_t* items;
  const std::int64_t* key_starts;
  std::uint32_t no_key;
  WeightedPartItem* out;

  std::int64_t work() const { return 20; }

  KEYSHARD_HD void operator()(std::int64_t p) const {
    const BagPart& part = parts[p];
    const bool weighted = part.weighted != 0;
    for (std::uint32_t j = 0; j < part.count; ++j) {
      out[part.items + j] = {
          static_cast<std::uint32_t>(key_starts[part.block] + items[part.items + j]),
          static_cast<std::uint32_t>(p), weighted ? part.weight(items, j) : 1.0f};
    }
    for (std::uint32_t j = 0; weighted && j < part.count; ++j) {
      out[part.items + part.count + j] = {no_key, static_cast<std::uint32_t>(p), 0.0f};
    }
  }
};

struct SplitWeights {
  const WeightedPartItem* from;
  PartItem* items;
  float* weights;

  std::int64_t work() const { return 2; }

  KEYSHARD_HD void operator()(std::int64_t i) const {
    items[i] = {from[i].key, from[i].part};
    weights[i] = from[i].weight;
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
  Buffer<float, B> weights;  ///< beside `items`; empty where no part has weights

  ReducedTerms(Stream<B>& stream, const OwnerState<B>& owner) {
    if (owner.parts.parts.empty()) {
      return;
    }
    items = {stream, owner.parts.items.size()};
    if (owner.parts.weighted) {
      sort_weighted(stream, owner);
    } else {
      Buffer<std::int64_t, B> storage;
      for_each(stream, owner.parts.parts.size(),
               ListItems{owner.parts.parts.data(), owner.parts.items.data(),
                         device_view<std::int64_t>(stream, owner.blocks, storage), items.data()});
      sort_pairs(stream, items.span());
    }
    offsets = {stream, owner.blocks.back() + 1};
    for_each(stream, offsets.size(), ItemStarts{items.data(), items.size(), offsets.data()});
  }

 private:
  void sort_weighted(Stream<B>& stream, const OwnerState<B>& owner) {
    Buffer<WeightedPartItem, B> sorted(stream, items.size());
    Buffer<std::int64_t, B> storage;
    for_each(stream, owner.parts.parts.size(),
             ListWeightedItems{owner.parts.parts.data(), owner.parts.items.data(),
                               device_view<std::int64_t>(stream, owner.blocks, storage),
                               static_cast<std::uint32_t>(owner.blocks.back()), sorted.data()});
    sort_pairs(stream, sorted.span());
    weights = {stream, items.size()};
    for_each(stream, items.size(), SplitWeights{sorted.data(), items.data(), weights.data()});
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

/// Where the sums of an owner's keys go, and what they are sums over.
template <Backend B>
std::shared_ptr<KeptGradients<B>> make_kept(Stream<B>& stream, std::int64_t floats,
                                            const OwnerState<B>& owner,
                                            const Buffer<std::uint32_t, B>& counts,
                                            std::shared_ptr<const void> keep) {
  const auto kept = std::make_shared<KeptGradients<B>>();
  kept->sums = {stream, floats};
  kept->counts = sum_counts(stream, owner, counts);
  kept->state = std::move(keep);
  return kept;
}

/// Folds what came for the keys of the tables, those of doubles in a launch of their own. Returns
/// for each table how many numbers are not finite; for doubles, which the step looks at, one at
/// least.
template <Backend B>
std::vector<std::int64_t> fold_keys(Stream<B>& stream, const LookupShape& shape,
                                    const OwnerState<B>& owner, const ReceivedTerms& in) {
  std::vector<std::uint8_t> without = shape.frozen;
  leave_out(shape, true, without);
  Buffer<std::uint8_t, B> storage;
  std::vector<std::int64_t> not_finite =
      sum_rows(stream, Span<const std::int64_t>(owner.firsts),
               FoldKeys<float>{in, device_view<std::uint8_t>(stream, without, storage)});
  if constexpr (std::same_as<B, Cpu>) {
    if (shape.any_double()) {
      without = without_doubles(shape);
      fold_double_keys(stream, owner.firsts, FoldKeys<double>{in, without.data()});
      for (std::size_t t = 0; t < not_finite.size(); ++t) {
        not_finite[t] += shape.dtypes[t] == ValueDtype::float64 ? 1 : 0;
      }
    }
  }
  return not_finite;
}

template <Backend B>
void fold_gradients(Stream<B>& stream, const LookupShape& shape, Span<Table<B>* const> tables,
                    const OwnerState<B>& owner, const ReceivedGradients<B>& gradients,
                    std::shared_ptr<const void> keep) {
  const ReducedTerms<B> terms(stream, owner);
  const DeviceShape<B> device(stream, shape);
  const std::vector<std::int64_t> bases =
      value_bases(TableRefs<B>(stream, tables), Span<const std::int64_t>(owner.firsts));
  const auto kept = make_kept(stream, bases.back(), owner, gradients.counts, std::move(keep));
  const Buffer<std::int64_t, B> places = place_values(stream, shape, owner.firsts, bases);
  const std::vector<std::uint16_t> nodes = nodes_of_ranks(shape.ranks, gradients.slices);
  Buffer<std::uint16_t, B> nodes_storage;
  Buffer<std::int64_t, B> bases_storage;
  Buffer<OwnCombiner, B> own_storage;
  const ReceivedTerms in{
      .shape = device.ref,
      .key_offsets = owner.distinct.offsets.data(),
      .items = owner.distinct.occurrences.data(),
      .rank_of = gradients.ranks.data(),
      .masks = gradients.masks.data(),
      .partials = gradients.partials.data(),
      .nodes = device_view<std::uint16_t>(stream, nodes, nodes_storage),
      .term_offsets = terms.offsets.data(),
      .terms = terms.items.data(),
      .term_weights = terms.weights.data(),
      .parts = owner.parts.parts.data(),
      .message = gradients.bytes.data(),
      .bases = device_view<std::int64_t>(stream, gradients.layout.bases, bases_storage),
      .values = owner.values.data(),
      .value_offset = {shape.dims.front(), places.data()},
      .sums = kept->sums.data(),
      .own = device_view<OwnCombiner>(stream, shape.own_combiners, own_storage)};
  const std::vector<std::int64_t> not_finite = fold_keys(stream, shape, owner, in);
  add_to_tables<B>(shape, tables, owner, kept->sums.data(), bases, not_finite, kept);
}

}  // namespace keyshard
