// The gradient of one key at its owner, as functors: what all askers sent for the key, partial sums
// of nodes and terms of bags, is folded over slices (gradient_functors.hpp has the asker's part).
#pragma once

#include <cstdint>
#include <type_traits>

#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/own_pooling.hpp"
#include "embedding/lookup/reduced.hpp"
#include "embedding/lookup/shape.hpp"
#include "runtime/columns.hpp"
#include "runtime/finite.hpp"
#include "runtime/fold.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// What an owner received for its keys: partial sums of nodes, and messages of parts of bags.
struct ReceivedTerms {
  ShapeRef shape;
  const std::uint32_t* key_offsets;  ///< received items of each distinct key, ascending, so in the
                                     ///< order of ranks; null: item d is the only one of key d
  const std::uint32_t* items;
  const std::uint16_t* rank_of;      ///< [items]
  const std::uint32_t* masks;        ///< [items] nodes of the rank's run with a partial; null: one
  const std::int64_t* partials;      ///< [items] floats before their first partial
  const std::uint16_t* nodes;        ///< [ranks x kMostNodes] first slices of the nodes of each run
  const std::int64_t* term_offsets;  ///< [items + 1] in `terms`; null where no block is reduced
  const PartItem* terms;             ///< sorted by item
  const float* term_weights;         ///< beside `terms`; null without weights
  const BagPart* parts;
  const std::byte* message;
  const std::int64_t* bases;  ///< bytes before the blocks of `message`
  const float* values;        ///< of the distinct keys
  ItemOffsets value_offset;
  float* sums;
  const OwnCombiner* own = nullptr;  ///< the combiners of the program

  static constexpr int kMostNodes = 32;  ///< a run of V slices has at most 2 log2 V
};

/// Folds what all ranks sent for one column group of distinct key `d`, in the order of slices:
/// partial sums of nodes, and terms of bags.
/// T is the type of the sums, in which columns are counted.
template <class T, int kColumns>
struct FoldKey {
  const ReceivedTerms* in;
  std::int64_t group;
  std::int64_t row_dim;
  TableGroup of_table;

  /// `out` is the sum of the key, all groups.
  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t d, T* out, const Team& team) const {
    for_columns<kColumns, usual_for_floats<T>>(
        team, of_table.dim, [&](std::int64_t column, auto width) {
          T stack[Fold<T>::kDepth * kColumns];
          Fold fold(stack, width);
          const std::int64_t begin = in->key_offsets == nullptr ? d : in->key_offsets[d];
          const std::int64_t end = in->key_offsets == nullptr ? d + 1 : in->key_offsets[d + 1];
          for (std::int64_t k = begin; k < end; ++k) {
            const std::int64_t item = in->key_offsets == nullptr ? k : in->items[k];
            push_partials(fold, item, column, width);
            if constexpr (std::is_same_v<T, float>) {
              push_terms(fold, d, item, column, width);
            }
          }
          const T* sum = fold.finish(Solo{});
          for (std::int64_t c = 0; c < width; ++c) {
            out[of_table.offset + column + c] = sum[c];
          }
        });
  }

  template <class Width>
  KEYSHARD_HD void push_partials(Fold<T, AddTerms<T>, Width>& fold, std::int64_t item,
                                 std::int64_t column, Width width) const {
    const T* partial =
        numbers_at<T>(reinterpret_cast<const float*>(in->message) + in->partials[item]) +
        of_table.offset + column;
    std::uint32_t mask = in->masks == nullptr ? 1 : in->masks[item];
    for (int node = 0; mask != 0; ++node, mask >>= 1) {
      if ((mask & 1u) != 0) {
        T* to = fold.push(Solo{}, in->nodes[in->rank_of[item] * ReceivedTerms::kMostNodes + node]);
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
    if (in->term_offsets == nullptr) {
      return;
    }
    const float* x = in->values + in->value_offset(d) + of_table.offset + column;
    fold_terms(
        fold, in->term_offsets[item], in->term_offsets[item + 1],
        [&](std::int64_t t) { return std::int64_t{in->parts[in->terms[t].part].slice}; },
        [&](std::int64_t t, float* sum, bool starts) {
          add_term(t, starts, x, column, width, sum);
        });
  }

  /// Puts or adds term t by whichever combiner its feature has; `x` is the row from `column` on.
  /// Compiled for one width, because there are many combiners.
  KEYSHARD_NOINLINE KEYSHARD_HD void add_term(std::int64_t t, bool starts, const float* x,
                                              std::int64_t column, std::int64_t width,
                                              float* sum) const {
    const BagPart& part = in->parts[in->terms[t].part];
    const FeatureGroup& at = in->shape.groups[part.feature * in->shape.num_groups + group];
    if constexpr (kHostCode) {
      if (at.own >= 0) {
        const std::byte* backs = in->message + in->bases[part.block] + part.back + at.back;
        return in->own[at.own].functions->pooling->add_term(backs, column, width, x, starts, sum);
      }
    }
    with_alternative<BagCombiner>(at.kind_of(part.weighted != 0), [&](auto c) {
      using C = decltype(c);
      const auto* back = reinterpret_cast<const typename C::Back*>(
                             in->message + in->bases[part.block] + part.back + at.back) +
                         column;
      for (std::int64_t i = 0; i < width; ++i) {
        const float value = term_of<C>(C::gradient(back[i], x[i]), in->term_weights, t);
        sum[i] = starts ? value : sum[i] + value;
      }
    });
  }
};

/// Folds what all ranks sent for the distinct keys of the tables, table after table. Frozen tables
/// are left out, and those whose sums are of another type than T. Counts the numbers of the sums
/// that are not finite.
template <class T>
struct FoldKeys {
  ReceivedTerms in;
  const std::uint8_t* without;  ///< of each table: it is left out

  struct Row {
    const ReceivedTerms* in;
    const TableGroup* groups;
    std::int64_t row_dim;

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t d, const Team& team) const {
      for (std::int64_t g = 0; g < in->shape.num_groups; ++g) {
        const TableGroup group{numbers_in<T>(groups[g].offset), numbers_in<T>(groups[g].dim)};
        FoldKey<T, kLaneColumns<Team>>{in, g, numbers_in<T>(row_dim), group}(
            d, numbers_at<T>(in->sums + in->value_offset(d)), team);
      }
    }

    /// How many numbers of the sums of the keys [begin, end) are not finite.
    KEYSHARD_HD std::int64_t after(std::int64_t begin, std::int64_t end) const {
      return count_not_finite(numbers_at<T>(in->sums + in->value_offset(begin)),
                              (end - begin) * numbers_in<T>(row_dim));
    }
  };

  std::int64_t work() const { return 40; }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t table, const Body& body) const {
    if (without[table] == 0) {
      body(Row{&in, in.shape.table_groups + table * in.shape.num_groups, in.shape.dims[table]});
    }
  }
};

}  // namespace keyshard
