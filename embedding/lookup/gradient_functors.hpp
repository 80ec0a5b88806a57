// The gradient of one key, as functors: the terms of its occurrences are added inside a slice in
// their order, starting from a copy of the first, and folded over slices. On the asker's side the
// fold stops at the nodes of the rank's run of slices, whose partial sums travel; the owner goes on
// with them.
#pragma once

#include <cstdint>
#include <type_traits>

#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/key_occurrences.hpp"
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
template <class C, class T, class Upstream>
KEYSHARD_HD void add_term(T* sum, bool starts, const Upstream& upstream,
                          const typename C::State* states, const T* x, std::int64_t n,
                          std::int64_t width) {
  for (std::int64_t d = 0; d < width; ++d) {
    const typename C::State state = C::kBackNeedsState ? states[d] : C::start(T{0});
    const T term = C::gradient(C::back(upstream[d], state, n), C::kBackNeedsState ? x[d] : T{0});
    sum[d] = starts ? term : sum[d] + term;
  }
}

/// What a feature gives for a row of doubles: doubles, or floats where it delivers floats.
struct UpstreamDoubles {
  const float* at;
  bool narrow;

  KEYSHARD_HD double operator[](std::int64_t d) const {
    return narrow ? static_cast<double>(at[d]) : numbers_at<double>(at)[d];
  }
};

/// Sums the gradients of one column group of distinct key `u` over the slices of this rank: one
/// partial per node with an occurrence, one after another, `row_dim` apart. T is the type of the
/// sums, float or double; columns are counted in it.
template <class T>
struct SumOccurrences {
  static constexpr bool kFloats = std::is_same_v<T, float>;
  using Upstream = std::conditional_t<kFloats, const float*, UpstreamDoubles>;

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
        row_dim(numbers_in<T>(dim)),
        of_table{numbers_in<T>(place.offset), numbers_in<T>(place.dim)},
        upstream(all.upstream[group]),
        columns(all.shape.groups + group),
        sums(kFloats && all.terms[group] == kUpstreamTerms),
        weighted(kFloats && all.terms[group] == kWeightedTerms) {}

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
    const std::uint32_t begin = in->offsets[u], end = in->offsets[u + 1];
    constexpr int kColumns = kLaneColumns<Team>;
    for_columns<kColumns, usual_for_floats<T>>(
        team, of_table.dim, [&](std::int64_t first, auto width) {
          T* out = numbers_at<T>(in->partials + in->partial_offset(u)) + of_table.offset + first;
          if constexpr (kFloats) {
            if (sums && end - begin <= 3) {
              return sum_few<kColumns>(u, begin, end, first, width, out);
            }
            if (weighted && end - begin == 1) {
              const Place at = in->place(in->occurrences[begin]);
              return weigh(upstream_of(at, first), in->weights.of_ids[at.occurrence], width, out);
            }
          }
          if (end - begin == 1) {
            add(out, true, u, in->place(in->occurrences[begin]), first, std::int64_t{width});
          } else {
            sum_several<kColumns>(u, first, width, out);
          }
        });
  }

  KEYSHARD_HD const FeatureGroup& column_of(const Place& at) const {
    return columns[at.feature * in->shape.num_groups];
  }

  KEYSHARD_HD void fetch_row(std::uint32_t k) const {
    prefetch(floats_of_upstream(in->place(in->occurrences[k])), of_table.dim);
  }

  KEYSHARD_HD const float* floats_of_upstream(const Place& at) const {
    return upstream.row(at.sample) + column_of(at).column;
  }

  KEYSHARD_HD Upstream upstream_of(const Place& at, std::int64_t first) const {
    if constexpr (kFloats) {
      return floats_of_upstream(at) + first;
    } else {
      const bool narrow = in->shape.features[at.feature].narrows;
      return {floats_of_upstream(at) + (narrow ? first : floats_of(ValueDtype::float64, first)),
              narrow};
    }
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
  KEYSHARD_HD void sum_several(std::int64_t u, std::int64_t first, Width width, T* out) const {
    T stack[Fold<T>::kDepth * kColumns];
    Fold fold(stack, width);
    std::int64_t node = -1;
    for (std::uint32_t k = in->offsets[u]; k < in->offsets[u + 1];) {
      const std::int64_t slice = in->slice_of[in->place(in->occurrences[k]).sample];
      if (in->node_of[slice] != node && !fold.empty()) {
        write(fold.finish(Solo{}), width, out);
        out += row_dim;
      }
      node = in->node_of[slice];
      T* sum = fold.push(Solo{}, slice);
      if constexpr (kFloats) {
        if (sums) {
          k = sum_upstream<kColumns>(u, k, slice, first, width, sum);
          continue;
        }
        if (weighted) {
          k = sum_weighted<kColumns>(u, k, slice, first, width, sum);
          continue;
        }
      }
      k = sum_terms(u, k, slice, first, width, sum);
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
                                      std::int64_t first, Width width, T* sum) const {
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
  KEYSHARD_NOINLINE KEYSHARD_HD void add(T* sum, bool starts, std::int64_t u, const Place& at,
                                         std::int64_t first, std::int64_t width) const {
    const FeatureGroup& column = column_of(at);
    const Upstream g = upstream_of(at, first);
    if (column.own >= 0) {
      const T* term =
          numbers_at<T>(in->own_terms + at.occurrence * in->own_width + column.own_column) + first;
      for (std::int64_t d = 0; d < width; ++d) {
        sum[d] = starts ? term[d] : sum[d] + term[d];
      }
      return;
    }
    with_alternative<BagCombinersOf<T>>(kFloats ? column.kind : column.double_kind, [&](auto c) {
      using C = decltype(c);
      using State = typename C::State;
      if constexpr (TakesWeights<C>) {
        add_weighted<C>(sum, starts, g, at, width);
      } else {
        const T* x = nullptr;
        const State* state = nullptr;
        if constexpr (C::kBackNeedsState) {
          x = numbers_at<T>(in->values + in->value_offset(u)) + of_table.offset + first;
          state = kept_states<const State>(in->kept, in->kept_bytes, at.sample, column) + first;
        }
        add_term<C>(sum, starts, g, state, x, in->bags.size(at.bag), width);
      }
    });
  }

  /// The terms of an occurrence whose id has a weight.
  template <class C>
  KEYSHARD_HD void add_weighted(T* sum, bool starts, const Upstream& g, const Place& at,
                                std::int64_t width) const {
    const T weight = static_cast<T>(in->weights.of_ids[at.occurrence]);
    const WeightOfBag<T> bag = weight_of_bag(at.bag);
    for (std::int64_t d = 0; d < width; ++d) {
      const T term = C::gradient(C::back(g[d], C::start(T{0}), bag), T{0}) * weight;
      sum[d] = starts ? term : sum[d] + term;
    }
  }

  KEYSHARD_HD WeightOfBag<T> weight_of_bag(std::uint32_t bag) const {
    if constexpr (kFloats) {
      return in->weights.of_bags[bag];
    } else {
      return in->double_weights[bag];
    }
  }

  template <class Width>
  KEYSHARD_HD static void write(const T* sum, Width width, T* out) {
    for (std::int64_t d = 0; d < width; ++d) {
      out[d] = sum[d];
    }
  }
};

/// Sums the gradients of the distinct keys of a batch, block after block. Keys of tables whose bags
/// travel in reduced form are left out, for the owner sums their terms, and those of frozen tables.
/// Counts the numbers that are not finite, where each key has one partial. T is the type of the
/// sums.
template <class T>
struct SumKeys {
  KeyOccurrences in;
  const std::uint8_t* without;  ///< of each table: it is left out
  std::int64_t terms;           ///< of a key, on average

  /// The keys of one block. All of them share `first`, the functor of the first group.
  struct Row {
    const SumKeys* all;
    const TableGroup* groups;  ///< of the table
    std::int64_t row_dim;
    SumOccurrences<T> first;

    std::int64_t fetched() const { return all->terms * row_dim; }

    KEYSHARD_HD SumOccurrences<T> other(std::int64_t group) const {
      return {all->in, group, row_dim, groups[group]};
    }

    KEYSHARD_HD void fetch(std::int64_t u) const {
      constexpr std::uint32_t kAhead = SumOccurrences<T>::kAhead;
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
      return count_not_finite(numbers_at<T>(all->in.partials + all->in.partial_offset(begin)),
                              (end - begin) * numbers_in<T>(row_dim));
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
