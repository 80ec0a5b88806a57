// The gradient of one key, as functors: the terms of its occurrences are added inside a slice in
// their order, starting from a copy of the first, and folded over slices. On the asker's side the
// fold stops at the nodes of the rank's run of slices, whose partial sums travel; the owner goes on
// with them.
#pragma once

#include <cstdint>

#include "embedding/lookup/bag_functors.hpp"
#include "embedding/rules/combiners.hpp"
#include "runtime/columns.hpp"
#include "runtime/fold.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/team.hpp"
#include "runtime/view.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

/// The number of a combiner in the variant, for a choice per occurrence.
using CombinerKind = std::uint8_t;

/// What a column group of a feature is to its gradients.
struct GradientColumn {
  CombinerKind kind;
  std::int64_t column;        ///< in the gradient of the pooled rows
  std::int64_t state_column;  ///< in the kept states
};

/// Puts or adds the terms of one occurrence: what[d] = or += gradient of the row, for columns
/// [first, first + width).
template <class C, class Width>
KEYSHARD_HD void add_term(float* sum, bool starts, const float* upstream,
                          const typename C::State* states, const float* x, std::int64_t n,
                          Width width) {
  for (std::int64_t d = 0; d < width; ++d) {
    const typename C::State state = C::kBackNeedsState ? states[d] : C::start(0.0f);
    const float term =
        C::gradient(C::back(upstream[d], state, n), C::kBackNeedsState ? x[d] : 0.0f);
    sum[d] = starts ? term : sum[d] + term;
  }
}

/// Sums the gradients of distinct key `u` over the slices of this rank: one partial per node with
/// an occurrence, at partials + offset(u), one after another.
template <int kColumns>
struct SumOccurrences {
  // Occurrences of each key, ascending, and the bags they stand in.
  const std::uint32_t* key_offsets;
  const std::uint32_t* occurrences;
  const std::uint32_t* bag_of;  ///< [occurrences]; null: the occurrence itself
  BagRanges bags;
  std::int64_t features;
  const std::uint16_t* slice_of;  ///< [samples] slice of the global batch
  const std::uint16_t*
      node_of;  ///< [slices] first slice of the node of this rank's run that holds it

  // One column group.
  const GradientColumn* columns;  ///< [features]
  bool sums;                      ///< all of them pool by sum: a term is the upstream gradient
  MatrixView<const float> upstream;
  const float* states;
  std::int64_t state_stride;
  const float* values;  ///< rows of the distinct keys, for combiners whose gradient needs them
  ItemOffsets value_offset;
  std::int64_t row_offset;
  std::int64_t row_dim;  ///< of all groups: the size of one partial
  std::int64_t dim;
  float* partials;
  ItemOffsets partial_offset;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
    const std::uint32_t begin = key_offsets[u], end = key_offsets[u + 1];
    for_columns<kColumns>(team, dim, [&](std::int64_t first, auto width) {
      float* out = partials + partial_offset(u) + row_offset + first;
      if (sums && end - begin <= 3) {
        sum_few(u, begin, end, first, width, out);
      } else if (end - begin == 1) {
        add(out, true, u, place(occurrences[begin]), first, width);
      } else {
        sum_several(u, first, width, out);
      }
    });
  }

  KEYSHARD_HD void fetch_row(std::uint32_t k) const {
    const Place at = place(occurrences[k]);
    prefetch(upstream.row(at.sample) + columns[at.feature].column, dim);
  }

  static constexpr std::uint32_t kAhead = 16;  ///< occurrences of a frequent key fetched ahead

  /// Where an occurrence stands.
  struct Place {
    std::uint32_t bag;
    std::uint32_t sample;
    std::uint32_t feature;
  };

  KEYSHARD_HD Place place(std::uint32_t occurrence) const {
    const std::uint32_t bag = bag_of == nullptr ? occurrence : bag_of[occurrence];
    const auto n = static_cast<std::uint32_t>(features);
    return {bag, bag / n, bag % n};
  }

  KEYSHARD_HD const float* upstream_of(const Place& at, std::int64_t first) const {
    return upstream.row(at.sample) + columns[at.feature].column + first;
  }

  /// The fold of one to three upstream gradients, without a stack and without a branch on their
  /// slices: most keys of a batch that repeat come twice or three times. a + (b + c) = (c + b) + a.
  template <class Width>
  KEYSHARD_HD void sum_few(std::int64_t u, std::uint32_t begin, std::uint32_t end,
                           std::int64_t first, Width width, float* out) const {
    const Place at_a = place(occurrences[begin]);
    const float* a = upstream_of(at_a, first);
    if (end - begin == 1) {
      return write(a, width, out);
    }
    const Place at_c = place(occurrences[end - 1]);
    const float* c = upstream_of(at_c, first);
    const std::uint16_t slice_a = slice_of[at_a.sample], slice_c = slice_of[at_c.sample];
    if (node_of[slice_a] != node_of[slice_c]) {
      return sum_several(u, first, width, out);
    }
    if (end - begin == 2) {
      for (std::int64_t d = 0; d < width; ++d) {
        out[d] = a[d] + c[d];
      }
      return;
    }
    const Place at_b = place(occurrences[begin + 1]);
    const float* b = upstream_of(at_b, first);
    const bool left = folds_left(slice_a, slice_of[at_b.sample], slice_c);
    const float* inner = left ? a : c;
    const float* outer = left ? c : a;
    for (std::int64_t d = 0; d < width; ++d) {
      out[d] = (inner[d] + b[d]) + outer[d];
    }
  }

  template <class Width>
  KEYSHARD_HD void sum_several(std::int64_t u, std::int64_t first, Width width, float* out) const {
    float stack[Fold<float>::kDepth * kColumns];
    Fold fold(stack, width);
    std::int64_t node = -1;
    for (std::uint32_t k = key_offsets[u]; k < key_offsets[u + 1];) {
      const std::int64_t slice = slice_of[place(occurrences[k]).sample];
      if (node_of[slice] != node && !fold.empty()) {
        write(fold.finish(Solo{}), width, out);
        out += row_dim;
      }
      node = node_of[slice];
      float* sum = fold.push(Solo{}, slice);
      k = sums ? sum_upstream(u, k, slice, first, width, sum)
               : sum_terms(u, k, slice, first, width, sum);
    }
    write(fold.finish(Solo{}), width, out);
  }

  /// Where occurrence k stands if it is one of key `u` in `slice`; fetches a later one ahead.
  KEYSHARD_HD bool next_in_slice(std::int64_t u, std::uint32_t k, std::int64_t slice,
                                 Place& at) const {
    if (k == key_offsets[u + 1]) {
      return false;
    }
    if (k + kAhead < key_offsets[u + 1]) {
      fetch_row(k + kAhead);
    }
    at = place(occurrences[k]);
    return slice_of[at.sample] == slice;
  }

  /// Sums the terms of key `u` in a slice, from occurrence k on. Returns the first one after it.
  template <class Width>
  KEYSHARD_HD std::uint32_t sum_terms(std::int64_t u, std::uint32_t k, std::int64_t slice,
                                      std::int64_t first, Width width, float* sum) const {
    bool starts = true;
    for (Place at; next_in_slice(u, k, slice, at); ++k) {
      add(sum, starts, u, at, first, width);
      starts = false;
    }
    return k;
  }

  /// The same where a term is the upstream gradient, in registers.
  template <class Width>
  KEYSHARD_HD std::uint32_t sum_upstream(std::int64_t u, std::uint32_t k, std::int64_t slice,
                                         std::int64_t first, Width width, float* sum) const {
    Place at = place(occurrences[k]);
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

  template <class Width>
  KEYSHARD_HD void add(float* sum, bool starts, std::int64_t u, const Place& at, std::int64_t first,
                       Width width) const {
    const GradientColumn& column = columns[at.feature];
    const float* g = upstream_of(at, first);
    with_alternative<Combiner>(column.kind, [&](auto c) {
      using C = decltype(c);
      const float* x = C::kBackNeedsState ? values + value_offset(u) + row_offset + first : nullptr;
      const auto* state = C::kBackNeedsState
                              ? reinterpret_cast<const typename C::State*>(
                                    states + at.sample * state_stride + column.state_column) +
                                    first
                              : nullptr;
      add_term<C>(sum, starts, g, state, x, bags.size(at.bag), width);
    });
  }

  template <class Width>
  KEYSHARD_HD static void write(const float* sum, Width width, float* out) {
    for (std::int64_t d = 0; d < width; ++d) {
      out[d] = sum[d];
    }
  }
};

/// One occurrence of a key in a bag that was asked for in reduced form.
struct OwnerTerm {
  std::uint32_t slice;
  std::uint32_t feature;
  std::int64_t back;  ///< where the bag's backward message starts in the floats
};

/// Folds what all ranks sent for distinct key `d` of a table, in the order of slices: partial sums
/// of nodes, and terms of bags.
template <int kColumns>
struct FoldKey {
  // The received items of each key, ascending, so in the order of ranks and of their slices.
  const std::uint32_t* key_offsets;  ///< null: item d is the only one
  const std::uint32_t* items;
  const std::uint16_t* rank_of;      ///< [items]
  const std::uint32_t* masks;        ///< [items] nodes of the rank's run that have a partial
  const std::int64_t* partials;      ///< [items] where they start
  const std::uint16_t* nodes;        ///< [ranks x 32] first slices of the nodes of each rank's run
  const std::int64_t* term_offsets;  ///< [items + 1] in terms; null where no block is reduced
  const OwnerTerm* terms;
  const float* floats;

  // One column group.
  const GradientColumn*
      columns;          ///< [features]; `column` is where the group starts in a backward message
  const float* values;  ///< of the distinct keys of the table
  std::int64_t first;   ///< distinct key of the table that `values` and `sums` start with
  std::int64_t row_dim;
  std::int64_t row_offset;
  std::int64_t dim;
  float* sums;  ///< [keys of the table x row_dim]

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t d, const Team& team) const {
    for_columns<kColumns>(team, dim, [&](std::int64_t column, auto width) {
      float* out = sums + (d - first) * row_dim + row_offset + column;
      if (key_offsets == nullptr && term_offsets == nullptr && masks[d] == 1) {
        const float* only = floats + partials[d] + row_offset + column;
        for (std::int64_t c = 0; c < width; ++c) {
          out[c] = only[c];
        }
      } else {
        fold_several(d, column, width, out);
      }
    });
  }

  template <class Width>
  KEYSHARD_HD void fold_several(std::int64_t d, std::int64_t column, Width width,
                                float* out) const {
    float stack[Fold<float>::kDepth * kColumns];
    Fold fold(stack, width);
    const std::int64_t begin = key_offsets == nullptr ? d : key_offsets[d];
    const std::int64_t end = key_offsets == nullptr ? d + 1 : key_offsets[d + 1];
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t item = key_offsets == nullptr ? k : items[k];
      push_partials(fold, item, column, width);
      push_terms(fold, d, item, column, width);
    }
    const float* sum = fold.finish(Solo{});
    for (std::int64_t c = 0; c < width; ++c) {
      out[c] = sum[c];
    }
  }

  template <class Width>
  KEYSHARD_HD void push_partials(Fold<float, AddTerms<float>, Width>& fold, std::int64_t item,
                                 std::int64_t column, Width width) const {
    const float* partial = floats + partials[item] + row_offset + column;
    std::uint32_t mask = masks[item];
    for (int node = 0; mask != 0; ++node, mask >>= 1) {
      if ((mask & 1u) != 0) {
        float* to = fold.push(Solo{}, nodes[rank_of[item] * 32 + node]);
        for (std::int64_t c = 0; c < width; ++c) {
          to[c] = partial[c];
        }
        partial += row_dim;
      }
    }
  }

  template <class Width>
  KEYSHARD_HD void push_terms(Fold<float, AddTerms<float>, Width>& fold, std::int64_t d,
                              std::int64_t item, std::int64_t column, Width width) const {
    if (term_offsets == nullptr) {
      return;
    }
    const float* x = values + (d - first) * row_dim + row_offset + column;
    fold_terms(
        fold, term_offsets[item], term_offsets[item + 1],
        [&](std::int64_t t) { return std::int64_t{terms[t].slice}; },
        [&](std::int64_t t, float* sum, bool starts) {
          const GradientColumn& at = columns[terms[t].feature];
          with_alternative<Combiner>(at.kind, [&](auto c) {
            using C = decltype(c);
            const auto* back =
                reinterpret_cast<const typename C::Back*>(floats + terms[t].back + at.column) +
                column;
            for (std::int64_t i = 0; i < width; ++i) {
              const float value = C::gradient(back[i], x[i]);
              sum[i] = starts ? value : sum[i] + value;
            }
          });
        });
  }
};

}  // namespace keyshard
