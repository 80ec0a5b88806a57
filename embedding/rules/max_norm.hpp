// The limit of a row's length (`max_norm`): rows are clipped where they are made and written, so
// that every row of a table is within the limit and a read has nothing to do; and the gradient of a
// row at the limit loses its part along the row.
#pragma once

#include <cstdint>

#include "embedding/rules/row_norm.hpp"
#include "runtime/columns.hpp"

namespace keyshard {

/// A row of at least this part of max_norm is at the limit.
inline constexpr double kAtLimit = 1 - 1e-6;

/// A row of at most max_norm times this is within the limit: the rounding of a clipped row to
/// floats may lengthen it by 2^-24, that of doubles and of the sum of their squares by far less
/// than 2^-40, so clipping twice is clipping once.
template <class T>
inline constexpr double kWithinLimit = 1 + (sizeof(T) == sizeof(float) ? 0x1p-23 : 0x1p-40);

/// v = v max_norm / max(|v|, max_norm). A lane works on the columns lane, lane + width, ... alone.
template <class Team, class T>
KEYSHARD_NOINLINE KEYSHARD_HD void clip_row(const Team& team, std::int64_t dim, double max_norm,
                                            T* v) {
  with_width(dim, [&](auto n) {
    const double squares = row_squares(team, n, [&](std::int64_t d) { return v[d]; });
    const double most = max_norm * kWithinLimit<T>;
    if (squares > most * most) {
      const double factor = max_norm / portable_sqrt(squares);
      for (std::int64_t d = team.thread_rank(); d < n; d += team.num_threads()) {
        v[d] = static_cast<T>(static_cast<double>(v[d]) * factor);
      }
    }
  });
}

/// g = (I - v v^T / |v|^2) g where the row v is at the limit; elsewhere g stays as it is. A lane
/// works on the columns lane, lane + width, ... alone.
template <class Team, class T>
KEYSHARD_NOINLINE KEYSHARD_HD void project_gradient(const Team& team, std::int64_t dim,
                                                    double max_norm, const T* KEYSHARD_RESTRICT v,
                                                    T* KEYSHARD_RESTRICT g) {
  with_width(dim, [&](auto n) {
    const double squares = row_squares(team, n, [&](std::int64_t d) { return v[d]; });
    const double least = max_norm * kAtLimit;
    if (squares < least * least || squares == 0) {
      return;
    }
    const double along = strided_sum<double>(team, n, [&](std::int64_t d) {
      return static_cast<double>(v[d]) * static_cast<double>(g[d]);
    });
    const double factor = along / squares;
    for (std::int64_t d = team.thread_rank(); d < n; d += team.num_threads()) {
      g[d] = static_cast<T>(static_cast<double>(g[d]) - static_cast<double>(v[d]) * factor);
    }
  });
}

}  // namespace keyshard
