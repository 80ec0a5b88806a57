// Borrowed shapes over memory of a device: no ownership, trivially copyable, fit for functors.
#pragma once

#include <cstdint>
#include <type_traits>

#include "runtime/portable.hpp"

namespace keyshard {

/// `rows` rows of `cols` elements, `stride` elements from one row to the next (stride >= cols).
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;

  KEYSHARD_HD T* row(std::int64_t i) const { return data + i * stride; }

  /// Converts to a view that only reads.
  template <class U, class = std::enable_if_t<std::is_same_v<U, const T> && !std::is_same_v<U, T>>>
  operator MatrixView<U>() const {
    return {data, rows, cols, stride};
  }
};

/// Lists of values: list i is values[offsets[i]] .. values[offsets[i + 1]]. `offsets` has one
/// element more than lists.
template <class T>
struct RaggedView {
  Span<T> values;
  Span<const std::int64_t> offsets;

  std::int64_t lists() const {
    return offsets.empty() ? 0 : static_cast<std::int64_t>(offsets.size()) - 1;
  }
};

}  // namespace keyshard
