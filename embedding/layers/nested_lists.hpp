// Ids of nested lists as the rectangle that holds them: a place without an id is masked. So lists
// of lists are reduced like a rectangle, axis 1 first, where a position exists in as many inner
// lists as are long enough.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/layers/id_bags.hpp"

namespace keyshard {

/// Levels of lists around the innermost ones.
inline constexpr std::int64_t kMostOuter = 6;

/// Offsets of lists, as functors see them: outermost first, the innermost last.
struct ListLevels {
  std::int64_t size = 0;
  const std::int64_t* offsets[kMostOuter + 1] = {};
  std::int64_t lists[kMostOuter + 1] = {};
  std::int64_t extents[kMostOuter + 1] = {};  ///< the longest list of a level
};

/// How long list i is.
struct ListLength {
  const std::int64_t* offsets;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const { return offsets[i + 1] - offsets[i]; }
};

/// Puts id i, with its mask and weight, into its place in the rectangle.
struct PlaceNested {
  ListLevels levels;
  const Key* ids;
  const std::uint8_t* mask;  ///< null: every id counts
  const float* weights;      ///< null: none
  Key* out;
  std::uint8_t* out_mask;  ///< zeros before
  float* out_weights;

  std::int64_t work() const { return 20 * levels.size; }

  KEYSHARD_HD void operator()(std::int64_t i) const {
    std::int64_t place = 0, stride = 1, at = i;
    for (std::int64_t level = levels.size - 1; level >= 0; --level) {
      const std::int64_t list = run_at(levels.offsets[level], levels.lists[level], at);
      place += (at - levels.offsets[level][list]) * stride;
      stride *= levels.extents[level];
      at = list;
    }
    place += at * stride;
    out[place] = ids[i];
    out_mask[place] = mask == nullptr ? 1 : mask[i];
    if (weights != nullptr) {
      out_weights[place] = weights[i];
    }
  }
};

/// Zeros before ids are placed.
struct ClearNested {
  Key* ids;
  std::uint8_t* mask;
  float* weights;  ///< null: none

  KEYSHARD_HD void operator()(std::int64_t i) const {
    ids[i] = 0;
    mask[i] = 0;
    if (weights != nullptr) {
      weights[i] = 0;
    }
  }
};

/// A rectangle of ids that owns its memory.
template <Backend B>
struct HeldIds {
  std::vector<std::int64_t> shape;
  Buffer<Key, B> ids;
  Buffer<std::uint8_t, B> mask;
  Buffer<float, B> weights;  ///< empty: none

  IdsView view() const { return {ids.span(), shape, {}}; }
};

/// The levels of nested lists, the lengths of the longest lists included. Waits.
template <Backend B>
ListLevels levels_of(Stream<B>& stream, const IdsView& ids) {
  require(std::ssize(ids.outer) <= kMostOuter, Kind::invalid_argument,
          "expected ids of at most {} ragged axes: found {}", kMostOuter + 1, ids.outer.size() + 1);
  ListLevels levels;
  const auto add = [&](Span<const std::int64_t> offsets) {
    levels.offsets[levels.size] = offsets.data();
    levels.lists[levels.size] = offsets.size() - 1;
    levels.extents[levels.size++] = largest(stream, offsets.size() - 1, ListLength{offsets.data()});
  };
  for (const Span<const std::int64_t> offsets : ids.outer) {
    add(offsets);
  }
  add(ids.offsets);
  return levels;
}

/// The rectangle that holds nested lists, [outermost lists, longest list of each level ...].
template <Backend B>
HeldIds<B> rectangle_of(Stream<B>& stream, const IdsView& ids, Span<const std::uint8_t> mask,
                        Span<const float> weights) {
  const ListLevels levels = levels_of(stream, ids);
  HeldIds<B> held;
  held.shape.push_back(levels.lists[0]);
  held.shape.insert(held.shape.end(), levels.extents, levels.extents + levels.size);
  const std::int64_t places = product_of(held.shape);
  held.ids = {stream, places};
  held.mask = {stream, places};
  held.weights = {stream, weights.empty() ? 0 : places};
  float* const held_weights = weights.empty() ? nullptr : held.weights.data();
  for_each(stream, places, ClearNested{held.ids.data(), held.mask.data(), held_weights});
  for_each(stream, ids.values.size(),
           PlaceNested{.levels = levels,
                       .ids = ids.values.data(),
                       .mask = mask.empty() ? nullptr : mask.data(),
                       .weights = weights.empty() ? nullptr : weights.data(),
                       .out = held.ids.data(),
                       .out_mask = held.mask.data(),
                       .out_weights = held_weights});
  return held;
}

}  // namespace keyshard
