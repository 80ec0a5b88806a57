// The ids of a call as bags for a lookup: ids in the order of the bags, without those that a mask
// or the padding id takes out.
#pragma once

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <vector>

#include "embedding/layers/layer_call.hpp"
#include "embedding/lookup/check_bags.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"
#include "runtime/joined.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

using Shape = std::vector<std::int64_t>;

/// The product of the extents from axis `begin` on.
inline std::int64_t product_of(const Shape& shape, std::size_t begin = 0) {
  return std::accumulate(shape.begin() + static_cast<std::ptrdiff_t>(std::min(begin, shape.size())),
                         shape.end(), std::int64_t{1}, std::multiplies<>());
}

/// out[i] = i * step.
struct CountUp {
  std::int64_t step;
  std::int64_t* out;

  KEYSHARD_HD void operator()(std::int64_t i) const { out[i] = i * step; }
};

/// The order [B, inner, n] of ids [B, n, inner].
struct BagOrder {
  std::int64_t n = 1;
  std::int64_t inner = 1;

  /// Where id i of the bags stands in the input.
  KEYSHARD_HD std::int64_t source(std::int64_t i) const {
    const std::int64_t sample = i / (n * inner), k = i / n % inner, j = i % n;
    return (sample * n + j) * inner + k;
  }
};

/// Brings ids, or their weights, into the order of bags.
template <class T>
struct TransposeIds {
  const T* in;
  BagOrder order;
  T* out;

  KEYSHARD_HD void operator()(std::int64_t i) const { out[i] = in[order.source(i)]; }
};

/// Whether id i counts: neither masked nor padding.
struct KeptIds {
  const std::uint8_t* mask;  ///< in the order of the input; null: none
  BagOrder order;
  bool has_padding;
  Key padding;
  const Key* ids;  ///< in the order of the bags

  KEYSHARD_HD bool kept(std::int64_t i) const {
    return (mask == nullptr || mask[order.inner == 1 ? i : order.source(i)] != 0) &&
           !(has_padding && ids[i] == padding);
  }

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const { return kept(i) ? 1 : 0; }
};

/// Moves the kept ids, or their weights, to their places.
template <class T>
struct MoveKept {
  KeptIds ids;
  const std::int64_t* places;  ///< [n + 1] kept ids before each
  const T* in;
  T* out;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    if (ids.kept(i)) {
      out[places[i]] = in[i];
    }
  }
};

/// out[i] = places[offsets[i]].
struct MoveOffsets {
  const std::int64_t* places;
  const std::int64_t* offsets;
  std::int64_t* out;

  KEYSHARD_HD void operator()(std::int64_t i) const { out[i] = places[offsets[i]]; }
};

/// out[i] = 1 where bag i has ids, else 0.
struct BagHasIds {
  const std::int64_t* offsets;
  std::uint8_t* out;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    out[i] = offsets[i] < offsets[i + 1] ? 1 : 0;
  }
};

/// The ids of a call as bags, bag after bag. Sample b of the first axis has `per_sample` bags, or
/// the bags firsts[b] .. firsts[b + 1] where `firsts` is given.
template <Backend B>
struct Bags {
  Span<const Key> values;
  Span<const std::int64_t> offsets;
  Span<const float> weights;  // of the values; empty: none
  std::int64_t samples = 1;
  std::int64_t per_sample = 1;
  const std::int64_t* firsts = nullptr;  // [samples + 1], on the device
  BagOrder order;
  Buffer<Key, B> own_values;
  Buffer<std::int64_t, B> own_offsets;
  Buffer<float, B> own_weights;
  Buffer<std::int64_t, B> own_firsts;

  std::int64_t size() const { return offsets.size() - 1; }

  /// Bags of `n` ids each.
  void cut(Stream<B>& stream, std::int64_t bags, std::int64_t n) {
    own_offsets = {stream, bags + 1};
    for_each(stream, bags + 1, CountUp{n, own_offsets.data()});
    offsets = std::as_const(own_offsets).span();
  }

  /// Gives the ids weights, which come in the order of the input.
  void weigh(Stream<B>& stream, Span<const float> given) {
    weights = given;
    if (!given.empty() && order.inner > 1) {
      own_weights = {stream, given.size()};
      for_each(stream, given.size(), TransposeIds<float>{given.data(), order, own_weights.data()});
      weights = std::as_const(own_weights).span();
    }
  }

  /// The ids that count.
  KeptIds kept(Span<const std::uint8_t> mask, const std::optional<Key>& padding) const {
    return {.mask = mask.empty() ? nullptr : mask.data(),
            .order = order,
            .has_padding = padding.has_value(),
            .padding = padding.value_or(0),
            .ids = values.data()};
  }

  /// Takes out the ids that do not count.
  void drop_masked(Stream<B>& stream, Span<const std::uint8_t> mask,
                   const std::optional<Key>& padding) {
    if (mask.empty() && !padding) {
      return;
    }
    const KeptIds ids = kept(mask, padding);
    Buffer<std::int64_t, B> places(stream, values.size() + 1);
    scan(stream, values.size(), ids, places.data());
    Buffer<Key, B> moved(stream, value_at(stream, places.data() + values.size()));
    for_each(stream, values.size(), MoveKept<Key>{ids, places.data(), values.data(), moved.data()});
    if (!weights.empty()) {
      Buffer<float, B> moved_weights(stream, moved.size());
      for_each(stream, values.size(),
               MoveKept<float>{ids, places.data(), weights.data(), moved_weights.data()});
      own_weights = std::move(moved_weights);
      weights = std::as_const(own_weights).span();
    }
    Buffer<std::int64_t, B> moved_offsets(stream, offsets.size());
    for_each(stream, offsets.size(),
             MoveOffsets{places.data(), offsets.data(), moved_offsets.data()});
    own_values = std::move(moved);
    own_offsets = std::move(moved_offsets);
    values = std::as_const(own_values).span();
    offsets = std::as_const(own_offsets).span();
  }
};

/// Checks that offsets ascend from 0 to `n`, the number of what lies in the lists.
template <Backend B>
void check_offsets(Stream<B>& stream, const std::string& layer, const char* what, std::int64_t n,
                   Span<const std::int64_t> offsets) {
  require(!offsets.empty(), Kind::invalid_argument,
          "layer {}: expected offsets of lists, one more than lists: found none", layer);
  const std::int64_t lists = offsets.size() - 1;
  const std::int64_t runs[] = {0, lists, 2 * lists};
  const std::int64_t front = value_at(stream, offsets.data());
  const std::int64_t back = value_at(stream, offsets.data() + lists);
  require(front == 0 && back == n &&
              sum_runs(stream, runs, CheckBags{offsets.data(), lists, n})[1] == 0,
          Kind::invalid_argument,
          "layer {}: expected ascending offsets from 0 to the number of {} {}: found {} to {}",
          layer, what, n, front, back);
}

/// Checks that the ids of a call fill their shape, or lie in ascending offsets, and that the mask
/// has a byte for each. Throws Error{invalid_argument}.
template <Backend B>
void check_ids(Stream<B>& stream, const std::string& layer, const IdsView& ids,
               Span<const std::uint8_t> mask) {
  const std::int64_t n = ids.values.size();
  require(mask.empty() || mask.size() == n, Kind::invalid_argument,
          "layer {}: expected a mask of the shape of the ids, {} in all: found {}", layer, n,
          mask.size());
  if (!ids.ragged()) {
    if (product_of(ids.shape) != n) {
      fail(Kind::invalid_argument, "layer {}: expected ids that fill their shape [{}]: found {}",
           layer, joined(ids.shape, ", "), n);
    }
    return;
  }
  check_offsets(stream, layer, "ids", n, ids.offsets);
  for (std::size_t level = ids.outer.size(); level-- > 0;) {
    check_offsets(stream, layer, "lists",
                  (level + 1 < ids.outer.size() ? ids.outer[level + 1] : ids.offsets).size() - 1,
                  ids.outer[level]);
  }
}

inline void check_slices(const std::string& layer, const SliceLayout* slices,
                         std::int64_t samples) {
  require(
      slices == nullptr || (!slices->offsets.empty() && slices->offsets.front() == 0 &&
                            slices->offsets.back() == samples &&
                            std::is_sorted(slices->offsets.begin(), slices->offsets.end())),
      Kind::invalid_argument,
      "layer {}: expected ascending slice offsets from 0 to the number of samples {}: found [{}]",
      layer, samples, slices == nullptr ? "" : joined(slices->offsets, ", "));
}

/// Bags along axis 1: of ids [B, n, inner...] bag (b, k) has ids [b, :, k].
template <Backend B>
Bags<B> bags_of(Stream<B>& stream, const IdsView& ids) {
  Bags<B> bags;
  bags.values = ids.values;
  if (ids.ragged()) {
    bags.offsets = ids.offsets;
    bags.samples = ids.offsets.size() - 1;
    return bags;
  }
  const bool one_bag = ids.shape.size() == 1;
  bags.samples = one_bag ? 1 : ids.shape[0];
  const std::int64_t n = one_bag ? ids.shape[0] : ids.shape[1];
  bags.per_sample = one_bag ? 1 : product_of(ids.shape, 2);
  bags.order = {n, bags.per_sample};
  if (bags.per_sample > 1) {
    bags.own_values = {stream, ids.values.size()};
    for_each(stream, ids.values.size(),
             TransposeIds<Key>{ids.values.data(), bags.order, bags.own_values.data()});
    bags.values = std::as_const(bags.own_values).span();
  }
  bags.cut(stream, bags.samples * bags.per_sample, n);
  return bags;
}

/// Bags of one id each.
template <Backend B>
Bags<B> single_bags(Stream<B>& stream, const IdsView& ids) {
  Bags<B> bags;
  bags.values = ids.values;
  bags.cut(stream, ids.values.size(), 1);
  bags.samples = ids.samples();
  if (ids.ragged()) {
    bags.firsts = ids.offsets.data();
  } else {
    bags.per_sample = product_of(ids.shape, 1);
  }
  for (std::size_t level = ids.outer.size(); level-- > 0;) {
    Buffer<std::int64_t, B> firsts(stream, ids.outer[level].size());
    for_each(stream, firsts.size(),
             MoveOffsets{bags.firsts, ids.outer[level].data(), firsts.data()});
    bags.own_firsts = std::move(firsts);
    bags.firsts = bags.own_firsts.data();
  }
  return bags;
}

}  // namespace keyshard
