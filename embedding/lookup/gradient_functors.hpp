// The gradient of one key, as functors: the terms of its occurrences are added inside a slice in
// their order, starting from a copy of the first, and folded over slices. On the asker's side the
// fold stops at the nodes of the rank's run of slices, whose partial sums travel; the owner goes on
// with them.
#pragma once

#include <cstdint>

#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/reduced.hpp"
#include "embedding/lookup/shape.hpp"
#include "runtime/columns.hpp"
#include "runtime/divider.hpp"
#include "runtime/finite.hpp"
#include "runtime/fold.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/team.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// Puts or adds the terms of one occurrence: sum[d] = or += the gradient of the row, for columns
/// [0, width) from `upstream`, `states` and `x` on.
template <class C>
KEYSHARD_HD void add_term(float* sum, bool starts, const float* upstream,
                          const typename C::State* states, const float* x, std::int64_t n,
                          std::int64_t width) {
  for (std::int64_t d = 0; d < width; ++d) {
    const typename C::State state = C::kBackNeedsState ? states[d] : C::start(0.0f);
    const float term =
        C::gradient(C::back(upstream[d], state, n), C::kBackNeedsState ? x[d] : 0.0f);
    sum[d] = starts ? term : sum[d] + term;
  }
}

/// The occurrences of the distinct keys of a batch, and the gradients that they get.
struct KeyOccurrences {
  ShapeRef shape;
  Divider by_features;
  const std::uint32_t* offsets;      ///< [keys + 1] in `occurrences`
  const std::uint32_t* occurrences;  ///< ascending in each key
  const std::uint32_t* bag_of;       ///< [occurrences]; null: the occurrence itself
  BagRanges bags;
  IdWeights weights;                        ///< beside the occurrences
  const std::uint16_t* slice_of;            ///< [samples] slice of the global batch
  const std::uint16_t* node_of;             ///< [slices] first slice of its node of this rank's run
  const std::uint8_t* terms;                ///< of each group: GroupTerms
  const MatrixView<const float>* upstream;  ///< of each group
  const std::byte* kept;                    ///< states of combiners that need them
  std::int64_t kept_bytes;
  const float* values;  ///< rows of the keys, for combiners whose gradient needs them
  ItemOffsets value_offset;
  float* partials;
  ItemOffsets partial_offset;
  const float* own_terms = nullptr;  ///< [occurrences x own_width] gradients of ids by combiners of
                                     ///< the program
  std::int64_t own_width = 0;

  /// Where an occurrence stands.
  struct Place {
    std::uint32_t occurrence;
    std::uint32_t bag;
    std::uint32_t sample;
    std::uint32_t feature;
  };

  KEYSHARD_HD Place place(std::uint32_t occurrence) const {
    const std::uint32_t bag = bag_of == nullptr ? occurrence : bag_of[occurrence];
    const std::uint32_t sample = by_features.quotient(bag);
    return {occurrence, bag, sample, bag - sample * by_features.divisor()};
  }
};

/// Sums the gradients of one column group of distinct key `u` over the slices of this rank: one
/// partial per node with an occurrence, one after another, `row_dim` apart.
struct SumOccurrences {
  const KeyOccurrences* in;
  std::int64_t row_dim;  ///< of all groups: the size of one partial
  TableGroup of_table;   ///< of the group in a row
  MatrixView<const float> upstream;
  const FeatureGroup* columns;  ///< of feature f at [f * num_groups]
  bool sums;                    ///< a term is the upstream gradient
  bool weighted;                ///< a term is the upstream gradient times the weight of the id

  static constexpr std::uint32_t kAhead = 16;  ///< occurrences of a frequent key fetched ahead
  using Place = KeyOccurrences::Place;

  KEYSHARD_HD SumOccurrences(const KeyOccurrences& all, std::int64_t group, std::int64_t dim,
                             const TableGroup& place)
      : in(&all),
        row_dim(dim),
        of_table(place),
        upstream(all.upstream[group]),
        columns(all.shape.groups + group),
        sums(all.terms[group] == kUpstreamTerms),
        weighted(all.terms[group] == kWeightedTerms) {}

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
    const std::uint32_t begin = in->offsets[u], end = in->offsets[u + 1];
    for_columns<kLaneColumns<Team>>(team, of_table.dim, [&](std::int64_t first, auto width) {
      float* out = in->partials + in->partial_offset(u) + of_table.offset + first;
      if (sums && end - begin <= 3) {
        sum_few<kLaneColumns<Team>>(u, begin, end, first, width, out);
      } else if (weighted && end - begin == 1) {
        const Place at = in->place(in->occurrences[begin]);
        weigh(upstream_of(at, first), in->weights.of_ids[at.occurrence], width, out);
      } else if (end - begin == 1) {
        add(out, true, u, in->place(in->occurrences[begin]), first, std::int64_t{width});
      } else {
        sum_several<kLaneColumns<Team>>(u, first, width, out);
      }
    });
  }

  KEYSHARD_HD const FeatureGroup& column_of(const Place& at) const {
    return columns[at.feature * in->shape.num_groups];
  }

  KEYSHARD_HD void fetch_row(std::uint32_t k) const {
    prefetch(upstream_of(in->place(in->occurrences[k]), 0), of_table.dim);
  }

  KEYSHARD_HD const float* upstream_of(const Place& at, std::int64_t first) const {
    return upstream.row(at.sample) + column_of(at).column + first;
  }

  /// The fold of one to three upstream gradients, without a stack and without a branch on their
  /// slices: most repeated keys of a batch come two or three times. a + (b + c) = (c + b) + a.
  template <int kColumns, class Width>
  KEYSHARD_HD void sum_few(std::int64_t u, std::uint32_t begin, std::uint32_t end,
                           std::int64_t first, Width width, float* out) const {
    const Place at_a = in->place(in->occurrences[begin]);
    const float* a = upstream_of(at_a, first);
    if (end - begin == 1) {
      return write(a, width, out);
    }
    const Place at_c = in->place(in->occurrences[end - 1]);
    const float* c = upstream_of(at_c, first);
    const std::uint16_t slice_a = in->slice_of[at_a.sample], slice_c = in->slice_of[at_c.sample];
    if (in->node_of[slice_a] != in->node_of[slice_c]) {
      return sum_several<kColumns>(u, first, width, out);
    }
    if (end - begin == 2) {
      for (std::int64_t d = 0; d < width; ++d) {
        out[d] = a[d] + c[d];
      }
      return;
    }
    const Place at_b = in->place(in->occurrences[begin + 1]);
    const float* b = upstream_of(at_b, first);
    const bool left = folds_left(slice_a, in->slice_of[at_b.sample], slice_c);
    const float* inner = left ? a : c;
    const float* outer = left ? c : a;
    for (std::int64_t d = 0; d < width; ++d) {
      out[d] = (inner[d] + b[d]) + outer[d];
    }
  }

  template <int kColumns, class Width>
  KEYSHARD_HD void sum_several(std::int64_t u, std::int64_t first, Width width, float* out) const {
    float stack[Fold<float>::kDepth * kColumns];
    Fold fold(stack, width);
    std::int64_t node = -1;
    for (std::uint32_t k = in->offsets[u]; k < in->offsets[u + 1];) {
      const std::int64_t slice = in->slice_of[in->place(in->occurrences[k]).sample];
      if (in->node_of[slice] != node && !fold.empty()) {
        write(fold.finish(Solo{}), width, out);
        out += row_dim;
      }
      node = in->node_of[slice];
      float* sum = fold.push(Solo{}, slice);
      k = sums       ? sum_upstream<kColumns>(u, k, slice, first, width, sum)
          : weighted ? sum_weighted<kColumns>(u, k, slice, first, width, sum)
                     : sum_terms(u, k, slice, first, width, sum);
    }
    write(fold.finish(Solo{}), width, out);
  }

  /// Where occurrence k stands if it is one of key `u` in `slice`; fetches a later one ahead.
  KEYSHARD_HD bool next_in_slice(std::int64_t u, std::uint32_t k, std::int64_t slice,
                                 Place& at) const {
    if (k == in->offsets[u + 1]) {
      return false;
    }
    if (k + kAhead < in->offsets[u + 1]) {
      fetch_row(k + kAhead);
    }
    at = in->place(in->occurrences[k]);
    return in->slice_of[at.sample] == slice;
  }

  /// Sums the terms of key `u` in a slice, from occurrence k on. Returns the first occurrence after
  /// them.
  template <class Width>
  KEYSHARD_HD std::uint32_t sum_terms(std::int64_t u, std::uint32_t k, std::int64_t slice,
                                      std::int64_t first, Width width, float* sum) const {
    bool starts = true;
    for (Place at; next_in_slice(u, k, slice, at); ++k) {
      add(sum, starts, u, at, first, std::int64_t{width});
      starts = false;
    }
    return k;
  }

  /// The same where a term is the upstream gradient, in registers.
  template <int kColumns, class Width>
  KEYSHARD_HD std::uint32_t sum_upstream(std::int64_t u, std::uint32_t k, std::int64_t slice,
                                         std::int64_t first, Width width, float* sum) const {
    Place at = in->place(in->occurrences[k]);
    const float* g = upstream_of(at, first);
    float run[kColumns];
    for (std::int64_t d = 0; d < width; ++d) {
      run[d] = g[d];
    }
    for (++k; next_in_slice(u, k, slice, at); ++k) {
      g = upstream_of(at, first);
      for (std::int64_t d = 0; d < width; ++d) {
        run[d] = run[d] + g[d];
      }
    }
    write(run, width, sum);
    return k;
  }

  /// The same where a term is the upstream gradient times the weight of the id.
  template <int kColumns, class Width>
  KEYSHARD_HD std::uint32_t sum_weighted(std::int64_t u, std::uint32_t k, std::int64_t slice,
                                         std::int64_t first, Width width, float* sum) const {
    Place at = in->place(in->occurrences[k]);
    float run[kColumns];
    weigh(upstream_of(at, first), in->weights.of_ids[at.occurrence], width, run);
    for (++k; next_in_slice(u, k, slice, at); ++k) {
      const float* g = upstream_of(at, first);
      const float weight = in->weights.of_ids[at.occurrence];
      for (std::int64_t d = 0; d < width; ++d) {
        run[d] = run[d] + g[d] * weight;
      }
    }
    write(run, width, sum);
    return k;
  }

  template <class Width>
  KEYSHARD_HD static void weigh(const float* g, float weight, Width width, float* out) {
    for (std::int64_t d = 0; d < width; ++d) {
      out[d] = g[d] * weight;
    }
  }

  /// Adds the term of an occurrence by whichever combiner its feature has. Compiled for one width,
  /// because there are many combiners.
  KEYSHARD_NOINLINE KEYSHARD_HD void add(float* sum, bool starts, std::int64_t u, const Place& at,
                                         std::int64_t first, std::int64_t width) const {
    const FeatureGroup& column = column_of(at);
    const float* g = upstream_of(at, first);
    if (column.own >= 0) {
      const float* term = in->own_terms + at.occurrence * in->own_width + column.own_column + first;
      for (std::int64_t d = 0; d < width; ++d) {
        sum[d] = starts ? term[d] : sum[d] + term[d];
      }
      return;
    }
    with_alternative<BagCombiner>(column.kind, [&](auto c) {
      using C = decltype(c);
      using State = typename C::State;
      if constexpr (TakesWeights<C>) {
        add_weighted<C>(sum, starts, g, at, width);
      } else {
        const float* x = nullptr;
        const State* state = nullptr;
        if constexpr (C::kBackNeedsState) {
          x = in->values + in->value_offset(u) + of_table.offset + first;
          state = kept_states<const State>(in->kept, in->kept_bytes, at.sample, column) + first;
        }
        add_term<C>(sum, starts, g, state, x, in->bags.size(at.bag), width);
      }
    });
  }

  /// The terms of an occurrence whose id has a weight.
  template <class C>
  KEYSHARD_HD void add_weighted(float* sum, bool starts, const float* g, const Place& at,
                                std::int64_t width) const {
    const float weight = in->weights.of_ids[at.occurrence];
    const BagWeight bag = in->weights.of_bags[at.bag];
    for (std::int64_t d = 0; d < width; ++d) {
      const float term = C::gradient(C::back(g[d], C::start(0.0f), bag), 0.0f) * weight;
      sum[d] = starts ? term : sum[d] + term;
    }
  }

  template <class Width>
  KEYSHARD_HD static void write(const float* sum, Width width, float* out) {
    for (std::int64_t d = 0; d < width; ++d) {
      out[d] = sum[d];
    }
  }
};

/// Sums the gradients of the distinct keys of a batch, block after block. Keys of tables whose bags
/// travel in reduced form are left out, for the owner sums their terms, and those of frozen tables.
/// Counts the numbers that are not finite, where each key has one partial.
struct SumKeys {
  KeyOccurrences in;
  const std::uint8_t* without;  ///< of each table: it is left out
  std::int64_t terms;           ///< of a key, on average

  /// The keys of one block. All of them share `first`, the functor of the first group.
  struct Row {
    const SumKeys* all;
    const TableGroup* groups;  ///< of the table
    std::int64_t row_dim;
    SumOccurrences first;

    std::int64_t fetched() const { return all->terms * row_dim; }

    KEYSHARD_HD SumOccurrences other(std::int64_t group) const {
      return {all->in, group, row_dim, groups[group]};
    }

    KEYSHARD_HD void fetch(std::int64_t u) const {
      constexpr std::uint32_t kAhead = SumOccurrences::kAhead;
      const std::uint32_t begin = all->in.offsets[u], end = all->in.offsets[u + 1];
      for (std::uint32_t k = begin; k < (end - begin < kAhead ? end : begin + kAhead); ++k) {
        first.fetch_row(k);
        for (std::int64_t g = 1; g < all->in.shape.num_groups; ++g) {
          other(g).fetch_row(k);
        }
      }
    }

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
      first(u, team);
      for (std::int64_t g = 1; g < all->in.shape.num_groups; ++g) {
        other(g)(u, team);
      }
    }

    /// How many numbers of the keys [begin, end) are not finite, where each has one partial.
    KEYSHARD_HD std::int64_t after(std::int64_t begin, std::int64_t end) const {
      return count_not_finite(all->in.partials + all->in.partial_offset(begin),
                              (end - begin) * row_dim);
    }
  };

  std::int64_t work() const { return 10 + 10 * terms; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t block, const Body& body) const {
    const std::int64_t table = block % in.shape.tables;
    if (without[table] == 0) {
      const TableGroup* groups = in.shape.table_groups + table * in.shape.num_groups;
      const std::int64_t dim = in.shape.dims[table];
      body(Row{this, groups, dim, {in, 0, dim, groups[0]}});
    }
  }
};

}  // namespace keyshard
