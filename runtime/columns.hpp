// Loops over the columns of a row. Most rows have 1, 4, 8, 16, 32 or 64 columns; for these the body
// is compiled with the width as a constant, so that its loops become a few vector instructions.
// Columns are independent of each other: the bits do not depend on how columns are cut into loops.
#pragma once

#include <cstdint>
#include <type_traits>

#include "runtime/portable.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// A width that the compiler knows; converts to std::int64_t.
template <std::int64_t N>
using FixedWidth = std::integral_constant<std::int64_t, N>;

/// Calls body(w) once: w is `width`, as a FixedWidth where that is a usual width of at most kMost,
/// else as a std::int64_t.
template <std::int64_t kMost = 64, class Body>
KEYSHARD_HD void with_width(std::int64_t width, const Body& body) {
  if constexpr (kMost >= 64) {
    if (width == 64) {
      return body(FixedWidth<64>{});
    }
  }
  if constexpr (kMost >= 32) {
    if (width == 32) {
      return body(FixedWidth<32>{});
    }
  }
  if constexpr (kMost >= 16) {
    if (width == 16) {
      return body(FixedWidth<16>{});
    }
  }
  if constexpr (kMost >= 8) {
    if (width == 8) {
      return body(FixedWidth<8>{});
    }
  }
  if constexpr (kMost >= 4) {
    if (width == 4) {
      return body(FixedWidth<4>{});
    }
  }
  return width == 1 ? body(FixedWidth<1>{}) : body(width);
}

/// Columns whose sums a lane keeps at a time: many where the lane is alone in its team.
template <class Team>
inline constexpr int kLaneColumns = std::is_same_v<Team, Solo> ? 64 : 1;

/// Whether usual widths are compiled in, which is worth the code in loops that run often.
enum class Widths { usual, any };

/// Usual widths for floats alone: work on doubles is rare.
template <class T>
inline constexpr Widths usual_for_floats = std::is_same_v<T, float> ? Widths::usual : Widths::any;

/// Calls body(first, width) for the column chunks of this lane, of at most kColumns columns;
/// `width` is a FixedWidth where kWidths is `usual` and the width is a usual one.
template <int kColumns, Widths kWidths = Widths::usual, class Team, class Body>
KEYSHARD_HD void for_columns(const Team& team, std::int64_t dim, const Body& body) {
  for (std::int64_t first = kColumns * static_cast<std::int64_t>(team.thread_rank()); first < dim;
       first += kColumns * static_cast<std::int64_t>(team.num_threads())) {
    const std::int64_t left = dim - first;
    if constexpr (kColumns == 1) {
      body(first, FixedWidth<1>{});
    } else if constexpr (kWidths == Widths::any) {
      body(first, left < kColumns ? left : kColumns);
    } else {
      with_width<kColumns>(left < kColumns ? left : kColumns,
                           [&](auto width) { body(first, width); });
    }
  }
}

}  // namespace keyshard
