// What is done to one bag, as functors: pool its rows, reduce a part of it at the owner, merge the
// parts at the asker. Columns are taken kColumns at a time by each lane, so that a state of the
// fold over shards fits registers or the stack.
#pragma once

#include <cstdint>

#include "embedding/rules/combiners.hpp"
#include "runtime/columns.hpp"
#include "runtime/fold.hpp"
#include "runtime/team.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// Where the values of item i lie, in floats: i * width, or looked up where tables differ in width.
struct ItemOffsets {
  std::int64_t width;
  const std::int64_t* offsets;  ///< null: uniform

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
    return offsets == nullptr ? i * width : offsets[i];
  }
};

/// The values of items: in one block, or each where its row lies in a table.
struct ItemRows {
  const float* values;
  ItemOffsets offset;
  const float* const* rows;  ///< null: in `values`

  KEYSHARD_HD const float* operator()(std::int64_t i) const {
    return rows == nullptr ? values + offset(i) : rows[i];
  }
};

/// Which ids belong to a bag: offsets[bag] .. offsets[bag + 1], or exactly one each where offsets
/// is null.
struct BagRanges {
  const std::int64_t* offsets;

  KEYSHARD_HD std::int64_t begin(std::int64_t bag) const {
    return offsets == nullptr ? bag : offsets[bag];
  }

  KEYSHARD_HD std::int64_t size(std::int64_t bag) const {
    return offsets == nullptr ? 1 : offsets[bag + 1] - offsets[bag];
  }
};

/// Scratch of a fold of combiner states over kColumns columns, private to a lane.
template <class C, int kColumns>
struct StateStack {
  typename C::State states[Fold<typename C::State, C>::kDepth * kColumns];
};

/// Adds the rows items[0 .. n) of a bag into a fold, one state per run of equal numbers(item).
template <class C, class Width, class Numbers>
KEYSHARD_HD void fold_rows(Fold<typename C::State, C, Width>& fold, const ItemRows& rows,
                           const std::uint32_t* items, std::int64_t n, std::int64_t column,
                           Width width, const Numbers& numbers) {
  fold_terms(
      fold, 0, n, [&](std::int64_t j) { return numbers(items[j]); },
      [&](std::int64_t j, typename C::State* state, bool starts) {
        const float* x = rows(items[j]) + column;
        for (std::int64_t d = 0; d < width; ++d) {
          state[d] = starts ? C::start(x[d]) : C::add(state[d], x[d]);
        }
      });
}

/// Pools one feature of a sample: pooled.row(sample)[column ...] = value of the bag, 0 if it is
/// empty.
template <class C, int kColumns>
struct PoolBag {
  ItemRows rows;
  const std::uint32_t* items;  ///< distinct key of each occurrence, bag after bag
  BagRanges bags;
  std::int64_t features;
  std::int64_t feature;
  std::int64_t row_offset;  ///< of the group in a row
  std::int64_t dim;
  MatrixView<float> pooled;
  std::int64_t column;
  const std::uint16_t*
      shards;     ///< shard of each distinct key; null: pooled in the order of the bag
  float* states;  ///< kept states; null where backward needs none
  std::int64_t state_stride;
  std::int64_t state_column;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t sample, const Team& team) const {
    const std::int64_t bag = sample * features + feature;
    const std::int64_t begin = bags.begin(bag), n = bags.size(bag);
    float* out = pooled.row(sample) + column;
    for_columns<kColumns>(team, dim, [&](std::int64_t first, auto width) {
      if (n == 0) {
        for (std::int64_t d = 0; d < width; ++d) {
          out[first + d] = 0.0f;
        }
      } else if (n == 1) {
        pool_one(sample, rows(items[begin]) + row_offset + first, first, width, out);
      } else if (shards == nullptr) {
        pool_in_order(sample, items + begin, n, first, width, out);
      } else {
        pool_by_shard(sample, items + begin, n, first, width, out);
      }
    });
  }

  template <class Width>
  KEYSHARD_HD void pool_one(std::int64_t sample, const float* x, std::int64_t first, Width width,
                            float* out) const {
    typename C::State state[kColumns];
    for (std::int64_t d = 0; d < width; ++d) {
      state[d] = C::start(x[d]);
    }
    keep(sample, state, first, width);
    write(state, first, width, 1, out);
  }

  template <class Width>
  KEYSHARD_HD void pool_in_order(std::int64_t sample, const std::uint32_t* bag, std::int64_t n,
                                 std::int64_t first, Width width, float* out) const {
    typename C::State state[kColumns];
    const float* x = rows(bag[0]) + row_offset + first;
    for (std::int64_t d = 0; d < width; ++d) {
      state[d] = C::start(x[d]);
    }
    for (std::int64_t j = 1; j < n; ++j) {
      x = rows(bag[j]) + row_offset + first;
      for (std::int64_t d = 0; d < width; ++d) {
        state[d] = C::add(state[d], x[d]);
      }
    }
    keep(sample, state, first, width);
    write(state, first, width, n, out);
  }

  template <class Width>
  KEYSHARD_HD void pool_by_shard(std::int64_t sample, const std::uint32_t* bag, std::int64_t n,
                                 std::int64_t first, Width width, float* out) const {
    StateStack<C, kColumns> stack;
    Fold<typename C::State, C, Width> fold(stack.states, width);
    const std::uint16_t* shard = shards;
    fold_rows<C>(fold, rows, bag, n, row_offset + first, width,
                 [shard](std::uint32_t item) { return std::int64_t{shard[item]}; });
    keep(sample, fold.finish(Solo{}), first, width);
    write(stack.states, first, width, n, out);
  }

  template <class Width>
  KEYSHARD_HD void write(const typename C::State* state, std::int64_t first, Width width,
                         std::int64_t n, float* out) const {
    for (std::int64_t d = 0; d < width; ++d) {
      out[first + d] = C::value(state[d], n);
    }
  }

  template <class Width>
  KEYSHARD_HD void keep(std::int64_t sample, const typename C::State* state, std::int64_t first,
                        Width width) const {
    if (states != nullptr) {
      auto* kept =
          reinterpret_cast<typename C::State*>(states + sample * state_stride + state_column);
      for (std::int64_t d = 0; d < width; ++d) {
        kept[first + d] = state[d];
      }
    }
  }
};

}  // namespace keyshard
