// The way back at the asker: where partial sums lie in a message, and the sums.
#pragma once

#include <algorithm>
#include <utility>

#include "embedding/lookup/double_bags.hpp"
#include "embedding/lookup/gradient_functors.hpp"
#include "embedding/lookup/gradients.hpp"
#include "embedding/lookup/make_parts_impl.hpp"
#include "embedding/lookup/own_bags.hpp"
#include "embedding/lookup/slice_nodes.hpp"
#include "runtime/copy.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// Writes the nodes in which each key occurs; counts them, for each has a partial.
struct WriteMasks {
  KeyNodes in;
  std::uint32_t* masks;

  std::int64_t work() const { return 5; }

  KEYSHARD_HD std::int64_t operator()(std::int64_t u) const {
    masks[u] = in.mask(u);
    return std::popcount(masks[u]);
  }
};

struct CountOccurrences {
  const std::uint32_t* offsets;
  std::uint32_t* counts;

  KEYSHARD_HD void operator()(std::int64_t u) const { counts[u] = offsets[u + 1] - offsets[u]; }
};

/// Writes where the partials of each key start; keys and partials lie in blocks.
struct PlacePartials {
  const std::uint32_t* masks;  ///< of the keys; null: one partial per key
  const std::int64_t* blocks;  ///< of the keys
  const std::int64_t* bases;   ///< bytes before each block
  const std::int64_t* dims;    ///< of each table
  std::int64_t tables;
  std::int64_t* places;  ///< floats before the partials of each key
  std::uint16_t* ranks;  ///< of each key

  struct Row {
    const PlacePartials* in;
    std::int64_t block;

    /// Key u comes after `before` partials of its block. Returns how many it has.
    KEYSHARD_HD std::int64_t operator()(std::int64_t u, std::int64_t before) const {
      in->places[u] = in->bases[block] / static_cast<std::int64_t>(sizeof(float)) +
                      before * in->dims[block % in->tables];
      in->ranks[u] = static_cast<std::uint16_t>(block / in->tables);
      return in->masks == nullptr ? 1 : std::popcount(in->masks[u]);
    }

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
      if (team.thread_rank() == 0) {
        (*this)(u, u - in->blocks[block]);
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

/// How the partials lie; `partials` has their number in each block. A block `without` partials has
/// back_bytes in their place, 0 where that is empty.
inline BlockLayout layout_of_partials(const LookupShape& shape, std::vector<std::int64_t> partials,
                                      const std::vector<std::uint8_t>& without,
                                      const std::vector<std::int64_t>& back_bytes) {
  for (std::size_t b = 0; b < partials.size(); ++b) {
    partials[b] = without[b] != 0
                      ? (back_bytes.empty() ? 0 : back_bytes[b])
                      : shape.row_bytes(partials[b], shape.dim_of(static_cast<std::int64_t>(b)));
  }
  return {partials, shape.ranks};
}

/// Places the partials of keys with `masks`, whose `sums` count partials; where `masks` is empty,
/// every key has one.
template <Backend B>
PartialPlan<B> place_partials(Stream<B>& stream, const LookupShape& shape,
                              const std::vector<std::int64_t>& blocks,
                              const Buffer<std::uint32_t, B>& masks, const RunSums<B>& sums,
                              BlockLayout layout) {
  PartialPlan<B> plan{std::move(layout), {stream, blocks.back()}, {stream, blocks.back()}};
  Buffer<std::int64_t, B> blocks_storage, bases_storage, dims_storage;
  const PlacePartials place{
      .masks = masks.empty() ? nullptr : masks.data(),
      .blocks = device_view<std::int64_t>(stream, blocks, blocks_storage),
      .bases = device_view<std::int64_t>(stream, plan.layout.bases, bases_storage),
      .dims = device_view<std::int64_t>(stream, shape.dims, dims_storage),
      .tables = shape.tables(),
      .places = plan.places.data(),
      .ranks = plan.ranks.data()};
  if (masks.empty()) {
    for_each_run(stream, Span<const std::int64_t>(blocks), place);
  } else {
    finish_sums(stream, Span<const std::int64_t>(blocks), sums, place);
  }
  return plan;
}

/// For each table, whether its keys have no partials: those of a table that is asked in reduced
/// form, or that is frozen.
inline std::vector<std::uint8_t> without_partials(const LookupShape& shape,
                                                  const std::vector<std::uint8_t>& reduced) {
  std::vector<std::uint8_t> without = shape.frozen;
  for (std::size_t t = 0; t < without.size(); ++t) {
    without[t] |= reduced[t];
  }
  return without;
}

/// The same for each block, from whether the block is reduced.
inline std::vector<std::uint8_t> blocks_without_partials(const LookupShape& shape,
                                                         std::vector<std::uint8_t> reduced) {
  for (std::size_t b = 0; b < reduced.size(); ++b) {
    const std::int64_t table = shape.table_of(static_cast<std::int64_t>(b));
    reduced[b] |= shape.frozen[static_cast<std::size_t>(table)];
  }
  return reduced;
}

/// For each block, the flag of its table.
inline std::vector<std::uint8_t> blocks_of_tables(const LookupShape& shape,
                                                  const std::vector<std::uint8_t>& tables) {
  std::vector<std::uint8_t> blocks;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    blocks.insert(blocks.end(), tables.begin(), tables.end());
  }
  return blocks;
}

/// The plan of an asker's message, and its masks where the rank's run is several nodes. `places`
/// stays empty where every key has one partial and all rows have one width: the place then follows
/// from the number of the key.
template <Backend B>
PartialPlan<B> plan_message(Stream<B>& stream, const LookupShape& shape, const AskerState<B>& asker,
                            const SliceNodes<B>& nodes, Buffer<std::uint32_t, B>& masks) {
  const std::vector<std::int64_t>& blocks = asker.distinct.blocks;
  RunSums<B> partials{.of_runs = sizes_of(blocks)};
  if (nodes.size() > 1) {
    masks = {stream, blocks.back()};
    partials = begin_sums(stream, Span<const std::int64_t>(blocks),
                          OneRun<WriteMasks>{{key_nodes(shape, asker, nodes), masks.data()}});
  }
  const std::vector<std::uint8_t> without = without_partials(shape, asker.reduced);
  BlockLayout layout = layout_of_partials(shape, partials.of_runs, blocks_of_tables(shape, without),
                                          asker.parts.back_bytes);
  const bool all_have = std::find(without.begin(), without.end(), 1) == without.end();
  if (masks.empty() && asker.value_offsets.empty() && all_have) {
    return {std::move(layout), {}, {}};
  }
  return place_partials(stream, shape, blocks, masks, partials, std::move(layout));
}

/// Marks the tables of doubles in `without`, or the others.
inline void leave_out(const LookupShape& shape, bool doubles, std::vector<std::uint8_t>& without) {
  for (std::size_t t = 0; t < without.size(); ++t) {
    if ((shape.dtypes[t] == ValueDtype::float64) == doubles) {
      without[t] = 1;
    }
  }
}

/// The occurrences of the keys of a batch as functors see them, and the memory that they borrow.
template <Backend B>
struct OccurrencesView {
  DeviceShape<B> device;
  SliceNodes<B> nodes;
  Buffer<std::uint8_t, B> terms_storage, without_storage;
  Buffer<MatrixView<const float>, B> upstream_storage;
  KeyOccurrences in;
  std::vector<std::uint8_t> without_host;
  const std::uint8_t* without;  ///< of each table, on the device: its keys have no partials that
                                ///< are floats

  OccurrencesView(Stream<B>& stream, const LookupShape& shape, const AskerState<B>& asker,
                  Span<const MatrixView<const float>> gradients)
      : device(stream, shape),
        nodes(stream, asker.run, asker.slices),
        in{.shape = device.ref,
           .by_features = device.by_features,
           .offsets = asker.distinct.offsets.data(),
           .occurrences = asker.distinct.occurrences.data(),
           .bag_of = asker.bag_of.empty() ? nullptr : asker.bag_of.data(),
           .bags = asker.bags(),
           .weights = asker.weights_of_occurrences(),
           .double_weights = asker.double_bag_weights.data(),
           .slice_of = asker.slice_of.data(),
           .node_of = nodes.first_of(),
           .terms = device_view<std::uint8_t>(stream, shape.terms, terms_storage),
           .upstream = device_view(stream, gradients, upstream_storage),
           .kept = asker.kept.data(),
           .kept_bytes = shape.kept_bytes,
           .values = asker.values,
           .value_offset = asker.value_offset(shape),
           .partials = nullptr,
           .partial_offset = {shape.dims.front(), nullptr}},
        without_host(without_partials(shape, asker.reduced)) {
    leave_out(shape, true, without_host);
    without = device_view<std::uint8_t>(stream, without_host, without_storage);
  }
};

/// For each table, whether it is left out of what is done for tables of doubles.
inline std::vector<std::uint8_t> without_doubles(const LookupShape& shape) {
  std::vector<std::uint8_t> without = shape.frozen;
  leave_out(shape, false, without);
  return without;
}

/// Gives `view` the gradients of all ids by combiners of the program, which are returned; empty
/// where there is none.
template <Backend B>
Buffer<float, B> add_own_terms(Stream<B>& stream, const LookupShape& shape,
                               const AskerState<B>& asker, OccurrencesView<B>& view) {
  if (shape.own_combiners.empty()) {
    return {};
  }
  Buffer<float, B> terms(stream, asker.distinct.inverse.size() * shape.own_width);
  OwnBagsStorage<B> storage;
  for_each(stream, asker.samples * shape.num_features(),
           BackOwnBags{own_bags(stream, shape, view.device, asker, storage), view.in.upstream,
                       view.in.kept, terms.data(), shape.own_width});
  view.in.own_terms = terms.data();
  view.in.own_width = shape.own_width;
  return terms;
}

/// Writes the backward messages of the parts of bags.
template <Backend B>
void write_backs(Stream<B>& stream, const LookupShape& shape, const AskerState<B>& asker,
                 const KeyOccurrences& in, GradientMessage<B>& message) {
  const std::int64_t parts = asker.parts.parts.size();
  if (parts == 0) {
    return;
  }
  Buffer<std::int64_t, B> storage;
  const WriteBacks write{.shape = in.shape,
                         .by_features = in.by_features,
                         .parts = asker.parts.parts.data(),
                         .bags = in.bags,
                         .weights = in.weights,
                         .upstream = in.upstream,
                         .kept = in.kept,
                         .kept_bytes = in.kept_bytes,
                         .bases = device_view<std::int64_t>(stream, message.layout.bases, storage),
                         .message = message.bytes.data()};
  for_each_row(stream, parts, write);
  for_own_combiners<WriteOwnBacks>(stream, shape, parts, write);
}

/// Sums the gradients of the keys, those of tables of doubles in a launch of their own. Returns for
/// each block how many numbers are not finite; for doubles, which the step looks at, one at least.
template <Backend B>
std::vector<std::int64_t> sum_keys(Stream<B>& stream, const LookupShape& shape,
                                   const AskerState<B>& asker, const OccurrencesView<B>& view) {
  const Span<const std::int64_t> blocks(asker.distinct.blocks);
  const std::int64_t keys = std::max<std::int64_t>(asker.distinct.size(), 1);
  const std::int64_t terms = (asker.distinct.inverse.size() + keys - 1) / keys;
  std::vector<std::int64_t> not_finite =
      sum_rows(stream, blocks, SumKeys<float>{view.in, view.without, terms});
  if constexpr (std::same_as<B, Cpu>) {
    if (shape.any_double()) {
      const std::vector<std::uint8_t> without = without_doubles(shape);
      sum_double_keys(stream, blocks, SumKeys<double>{view.in, without.data(), terms});
      for (std::size_t b = 0; b < not_finite.size(); ++b) {
        const auto table = static_cast<std::size_t>(shape.table_of(static_cast<std::int64_t>(b)));
        not_finite[b] += shape.dtypes[table] == ValueDtype::float64 ? 1 : 0;
      }
    }
  }
  return not_finite;
}

template <Backend B>
GradientMessage<B> sum_gradients(Stream<B>& stream, const LookupShape& shape,
                                 const AskerState<B>& asker,
                                 Span<const MatrixView<const float>> gradients) {
  OccurrencesView<B> view(stream, shape, asker, gradients);
  GradientMessage<B> message;
  if (shape.counts_occurrences) {
    message.counts = {stream, asker.distinct.size()};
    for_each(stream, message.counts.size(),
             CountOccurrences{asker.distinct.offsets.data(), message.counts.data()});
  }
  PartialPlan<B> plan = plan_message(stream, shape, asker, view.nodes, message.masks);
  message.layout = std::move(plan.layout);
  message.bytes = {stream, message.layout.size()};

  KeyOccurrences& in = view.in;
  in.partials = reinterpret_cast<float*>(message.bytes.data());
  in.partial_offset.offsets = plan.places.empty() ? nullptr : plan.places.data();
  const Buffer<float, B> own = add_own_terms(stream, shape, asker, view);
  message.not_finite = sum_keys(stream, shape, asker, view);
  write_backs(stream, shape, asker, in, message);
  return message;
}

}  // namespace keyshard
