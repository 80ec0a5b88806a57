// What is done to one bag, as a functor: its rows are pooled into the output of its sample. Columns
// are taken several at a time by each lane, so that a state of the fold over shards fits registers
// or the stack.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "embedding/lookup/shape.hpp"
#include "embedding/rows/value_dtype.hpp"
#include "embedding/rules/combine_weighted.hpp"
#include "runtime/columns.hpp"
#include "runtime/divider.hpp"
#include "runtime/fold.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/team.hpp"
#include "runtime/view.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

/// Floats before the values of item i: i * width, or offsets[i] where tables differ in width.
struct ItemOffsets {
  std::int64_t width;
  const std::int64_t* offsets;  ///< null: uniform

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const {
    return offsets == nullptr ? i * width : offsets[i];
  }
};

/// The values of items: all in one array, or each where its row lies in a table.
struct ItemRows {
  const float* values;
  ItemOffsets offset;
  const float* const* rows;  ///< of each item; null: all in `values`

  KEYSHARD_HD const float* operator()(std::int64_t i) const {
    return rows == nullptr ? values + offset(i) : rows[i];
  }
};

/// Which ids belong to a bag: offsets[bag] .. offsets[bag + 1]; where `offsets` is null, every bag
/// has exactly one id.
struct BagRanges {
  const std::int64_t* offsets;

  KEYSHARD_HD std::int64_t begin(std::int64_t bag) const {
    return offsets == nullptr ? bag : offsets[bag];
  }

  KEYSHARD_HD std::int64_t size(std::int64_t bag) const {
    return offsets == nullptr ? 1 : offsets[bag + 1] - offsets[bag];
  }
};

/// The weights of ids; null, both, where no feature is weighted.
struct IdWeights {
  const float* of_ids = nullptr;  ///< in the order of the ids beside which they are read
  const BagWeight* of_bags = nullptr;
};

/// What a combiner needs to know of a bag beside its state: the number of its ids, or their
/// weights.
template <class C>
KEYSHARD_HD auto size_of_bag(const BagRanges& bags, const IdWeights& weights, std::int64_t bag) {
  if constexpr (TakesWeights<C>) {
    return weights.of_bags[bag];
  } else {
    return bags.size(bag);
  }
}

/// What one number of a row adds to a state.
template <class C>
KEYSHARD_HD auto term_of(typename C::Number x, [[maybe_unused]] const float* weights,
                         [[maybe_unused]] std::int64_t j) {
  if constexpr (TakesWeights<C>) {
    return x * static_cast<typename C::Number>(weights[j]);
  } else {
    return x;
  }
}

/// The states of kColumns columns, number by number, so that loops over columns become vector
/// instructions. A state consists of numbers of one type.
template <class State, int kColumns>
class StateColumns {
 public:
  KEYSHARD_HD State operator[](std::int64_t column) const {
    Packed packed;
    for (int k = 0; k < kNumbers; ++k) {
      packed.numbers[k] = numbers_[k][column];
    }
    return std::bit_cast<State>(packed);
  }

  KEYSHARD_HD void put(std::int64_t column, State state) {
    const Packed packed = std::bit_cast<Packed>(state);
    for (int k = 0; k < kNumbers; ++k) {
      numbers_[k][column] = packed.numbers[k];
    }
  }

 private:
  using Number = std::conditional_t<alignof(State) == alignof(double), double, float>;
  static constexpr int kNumbers = sizeof(State) / sizeof(Number);

  struct Packed {
    Number numbers[kNumbers];
  };

  Number numbers_[kNumbers][kColumns];
};

/// Scratch of a fold of combiner states over kColumns columns, private to a lane.
template <class C, int kColumns>
struct StateStack {
  typename C::State states[Fold<typename C::State, C>::kDepth * kColumns];
};

/// The ids of a bag.
struct BagItems {
  ItemRows rows;
  const std::uint32_t* items;  ///< [n] distinct keys
  const float* weights;        ///< [n]; null without weights
  std::int64_t n;

  /// The row of id j, numbers of type T.
  template <class T>
  KEYSHARD_HD const T* row(std::int64_t j) const {
    return numbers_at<T>(rows(items[j]));
  }
};

/// Adds the rows of a bag into a fold, one state per run of equal numbers(item).
template <class C, class Width, class Numbers>
KEYSHARD_HD void fold_rows(Fold<typename C::State, C, Width>& fold, const BagItems& bag,
                           std::int64_t column, Width width, const Numbers& numbers) {
  fold_terms(
      fold, 0, bag.n, [&](std::int64_t j) { return numbers(bag.items[j]); },
      [&](std::int64_t j, typename C::State* state, bool starts) {
        const auto* row = bag.template row<typename C::Number>(j) + column;
        for (std::int64_t d = 0; d < width; ++d) {
          const auto x = term_of<C>(row[d], bag.weights, j);
          state[d] = starts ? C::start(x) : C::add(state[d], x);
        }
      });
}

/// One column group of one bag: out [dim] = its value, 0 if the bag is empty. Columns count numbers
/// of the type of the combiner.
template <class C, int kColumns, class Size, class Out = typename C::Number*>
struct PoolBag {
  using Number = typename C::Number;
  using State = typename C::State;

  BagItems bag;
  Size size;                ///< as size_of_bag has it
  std::int64_t row_offset;  ///< of the group in a row
  std::int64_t dim;
  const std::uint16_t* shards;  ///< of each distinct key; null: pooled in the order of the bag
  State* kept;                  ///< [dim] for backward; null where it needs none
  Out out;

  template <class Team>
  KEYSHARD_HD void operator()(const Team& team) const {
    for_columns<kColumns, C::kWidths>(team, dim, [&](std::int64_t first, auto width) {
      if (bag.n == 0) {
        for (std::int64_t d = 0; d < width; ++d) {
          out[first + d] = Number{0};
        }
      } else if (shards == nullptr || bag.n == 1) {
        pool_in_order(first, width);
      } else {
        pool_by_shard(first, width);
      }
    });
  }

  template <class Width>
  KEYSHARD_HD void pool_in_order(std::int64_t first, Width width) const {
    StateColumns<State, kColumns> state;
    const Number* x = bag.template row<Number>(0) + row_offset + first;
    for (std::int64_t d = 0; d < width; ++d) {
      state.put(d, C::start(term_of<C>(x[d], bag.weights, 0)));
    }
    for (std::int64_t j = 1; j < bag.n; ++j) {
      x = bag.template row<Number>(j) + row_offset + first;
      for (std::int64_t d = 0; d < width; ++d) {
        state.put(d, C::add(state[d], term_of<C>(x[d], bag.weights, j)));
      }
    }
    write(state, first, width);
  }

  template <class Width>
  KEYSHARD_HD void pool_by_shard(std::int64_t first, Width width) const {
    StateStack<C, kColumns> stack;
    Fold<State, C, Width> fold(stack.states, width);
    const std::uint16_t* shard = shards;
    fold_rows<C>(fold, bag, row_offset + first, width,
                 [shard](std::uint32_t item) { return std::int64_t{shard[item]}; });
    write(fold.finish(Solo{}), first, width);
  }

  template <class States, class Width>
  KEYSHARD_HD void write(const States& state, std::int64_t first, Width width) const {
    if (kept != nullptr) {
      for (std::int64_t d = 0; d < width; ++d) {
        kept[first + d] = state[d];
      }
    }
    for (std::int64_t d = 0; d < width; ++d) {
      out[first + d] = C::value(state[d], size);
    }
  }
};

/// The kept states of one group of a sample; null where backward needs none.
template <class State, class Byte>
KEYSHARD_HD State* kept_states(Byte* kept, std::int64_t kept_bytes, std::int64_t sample,
                               const FeatureGroup& group) {
  return group.kept < 0 ? nullptr
                        : reinterpret_cast<State*>(kept + sample * kept_bytes + group.kept);
}

/// Pools bag i of a batch, all column groups.
struct PoolBags {
  ShapeRef shape;
  Divider by_features;
  const std::uint8_t* reduced;  ///< of each table: its bags come as parts, which MergeBags merges
  ItemRows rows;
  const std::uint32_t* items;  ///< distinct key of each occurrence, bag after bag
  IdWeights weights;           ///< beside `items`
  BagRanges bags;
  const std::uint16_t* shards;      ///< of each distinct key
  const MatrixView<float>* pooled;  ///< of each group
  std::byte* kept;                  ///< [samples x kept_bytes]
  std::int64_t kept_bytes;
  std::int64_t ids;      ///< of a bag, on average
  std::int64_t row_dim;  ///< of the rows of all tables; 0 where tables differ

  std::int64_t work() const { return 10 + 5 * ids; }

  std::int64_t fetched() const { return ids * shape.features[0].row_dim; }

  /// Where a bag stands.
  struct Place {
    std::uint32_t sample;
    std::uint32_t feature;
  };

  KEYSHARD_HD Place place_of(std::int64_t bag) const {
    const std::uint32_t sample = by_features.quotient(static_cast<std::uint32_t>(bag));
    return {sample, static_cast<std::uint32_t>(bag) - sample * by_features.divisor()};
  }

  const FeatureGroup& first_group(std::int64_t feature) const {
    return shape.groups[feature * shape.num_groups];
  }

  /// The rows of so many items at most, each of `dim` numbers.
  void fetch_rows(std::int64_t first, std::int64_t n, std::int64_t dim) const {
    constexpr std::int64_t kMostFetched = 192;
    for (std::int64_t i = first; i < first + (n < kMostFetched ? n : kMostFetched); ++i) {
      prefetch(rows(items[i]), dim);
    }
  }

  /// The rows of the bags, then the output of the first group.
  void fetch_range(std::int64_t begin, std::int64_t end) const {
    if (row_dim > 0) {
      fetch_rows(bags.begin(begin), bags.begin(end) - bags.begin(begin), row_dim);
    } else {
      for (std::int64_t bag = begin; bag < end; ++bag) {
        const std::uint32_t feature = place_of(bag).feature;
        fetch_rows(bags.begin(bag), bags.size(bag), shape.features[feature].row_dim);
      }
    }
    const Place from = place_of(begin), to = place_of(end - 1);
    std::int64_t column = first_group(from.feature).column;
    for (std::uint32_t sample = from.sample; sample <= to.sample; ++sample, column = 0) {
      const FeatureGroup& until =
          first_group(sample == to.sample ? to.feature : shape.num_features - 1);
      prefetch_to_write(pooled[0].row(sample) + column, until.column + until.dim - column);
    }
  }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t bag, const Team& team) const {
    const Place place = place_of(bag);
    const std::uint32_t sample = place.sample, f = place.feature;
    const FeatureShape& feature = shape.features[f];
    if (reduced[feature.table] != 0) {
      return;
    }
    const std::int64_t begin = bags.begin(bag), n = bags.size(bag);
    for (std::int64_t g = 0; g < shape.num_groups; ++g) {
      const FeatureGroup& group = shape.groups[f * shape.num_groups + g];
      with_alternative<BagCombiner>(group.kind, [&](auto c) {
        using C = decltype(c);
        const auto size = size_of_bag<C>(bags, weights, bag);
        PoolBag<C, kLaneColumns<Team>, std::remove_const_t<decltype(size)>>{
            .bag = {rows, items + begin, TakesWeights<C> ? weights.of_ids + begin : nullptr, n},
            .size = size,
            .row_offset = group.offset,
            .dim = group.dim,
            .shards = feature.by_shard ? shards : nullptr,
            .kept = kept_states<typename C::State>(kept, kept_bytes, sample, group),
            .out = pooled[g].row(sample) + group.column}(team);
      });
    }
  }
};

}  // namespace keyshard
