// The ids of a call as a program has them: integers of 64 or 32 bits, or strings as their
// fingerprints, in a rectangle or in lists.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/text_keys.hpp"

namespace keyshard {

/// Ids as a rectangle with any number of axes, row-major; or as lists, where list i is
/// values[offsets[i]] .. values[offsets[i + 1]], `offsets` has one element more than lists, and
/// `shape` is empty. Lists may lie in lists: `outer` then has the offsets of the lists around them,
/// outermost first; sample b of two ragged axes has the lists outer[0][b] .. outer[0][b + 1].
/// Borrowed; ids and offsets lie on the device of the layer.
struct IdsView {
  Span<const Key> values;
  std::vector<std::int64_t> shape;
  Span<const std::int64_t> offsets;
  std::vector<Span<const std::int64_t>> outer = {};
  /// As typed_ids and string_ids set it. Empty: `values` are keys, which layers with key_dtype
  /// int64 and uint64 take.
  std::string dtype = {};
  Span<const std::int32_t> narrow = {};  ///< ids of int32 and uint32 (its bits), without `values`

  /// Ids in all.
  std::int64_t size() const { return narrow.empty() ? values.size() : narrow.size(); }

  bool ragged() const { return !offsets.empty(); }

  /// The lists or rows along the first axis; 1 for a scalar.
  std::int64_t samples() const {
    return !outer.empty()  ? outer.front().size() - 1
           : ragged()      ? offsets.size() - 1
           : shape.empty() ? 1
                           : shape.front();
  }
};

/// A view of ids that have the dtype of their C++ type, int64, int32 or uint32, for a layer with
/// that key_dtype. For lists give no shape, but `offsets` and `outer`.
template <class Int>
IdsView typed_ids(Span<const Int> ids, std::vector<std::int64_t> shape,
                  Span<const std::int64_t> offsets = {},
                  std::vector<Span<const std::int64_t>> outer = {}) {
  constexpr bool kWide = std::is_same_v<Int, std::int64_t>;
  static_assert(kWide || std::is_same_v<Int, std::int32_t> || std::is_same_v<Int, std::uint32_t>,
                "ids are std::int64_t, std::int32_t or std::uint32_t; a Span<const Key> is a view "
                "already");
  IdsView view{{}, std::move(shape), offsets, std::move(outer)};
  view.dtype = kWide ? "int64" : std::is_signed_v<Int> ? "int32" : "uint32";
  // The signed and the unsigned type of a width may name the same object.
  if constexpr (kWide) {
    view.values = {reinterpret_cast<const Key*>(ids.data()), ids.size()};
  } else {
    view.narrow = {reinterpret_cast<const std::int32_t*>(ids.data()), ids.size()};
  }
  return view;
}

/// A view of strings, as their keys (string_keys), for a layer with key_dtype "string".
inline IdsView string_ids(Span<const Key> keys, std::vector<std::int64_t> shape,
                          Span<const std::int64_t> offsets = {},
                          std::vector<Span<const std::int64_t>> outer = {}) {
  IdsView view{keys, std::move(shape), offsets, std::move(outer)};
  view.dtype = "string";
  return view;
}

}  // namespace keyshard
