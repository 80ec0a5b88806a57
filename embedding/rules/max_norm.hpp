// The limit of a row's length (`max_norm`): rows are clipped where they are made and written, so
// that every row of a table is within the limit and a read has nothing to do; and the gradient of a
// row at the limit loses its part along the row.
#pragma once

#include <cstdint>

#include "embedding/rules/row_norm.hpp"

namespace keyshard {

/// A row of at least this part of max_norm is at the limit.
inline constexpr double kAtLimit = 1 - 1e-6;

/// A row of at most max_norm times this is within the limit: the rounding of a clipped row to
/// floats may lengthen it by 2^-24, so clipping twice is clipping once.
inline constexpr double kWithinLimit = 1 + 0x1p-23;

/// v = v max_norm / max(|v|, max_norm). A lane works on the columns lane, lane + width, ... alone.
template <class Team>
KEYSHARD_HD void clip_row(const Team& team, std::int64_t dim, double max_norm, float* v) {
  const double norm = row_norm(team, dim, [&](std::int64_t d) { return v[d]; });
  if (norm > max_norm * kWithinLimit) {
    const double factor = max_norm / norm;
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      v[d] = static_cast<float>(static_cast<double>(v[d]) * factor);
    }
  }
}

/// g = (I - v v^T / |v|^2) g where the row v is at the limit; elsewhere g stays as it is. A lane
/// works on the columns lane, lane + width, ... alone.
template <class Team>
KEYSHARD_HD void project_gradient(const Team& team, std::int64_t dim, double max_norm,
                                  const float* v, float* g) {
  const double norm = row_norm(team, dim, [&](std::int64_t d) { return v[d]; });
  if (norm < max_norm * kAtLimit) {
    return;
  }
  const double along = strided_sum<double>(team, dim, [&](std::int64_t d) {
    return static_cast<double>(v[d]) * static_cast<double>(g[d]);
  });
  const double factor = along / (norm * norm);
  for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
    g[d] = static_cast<float>(static_cast<double>(g[d]) - static_cast<double>(v[d]) * factor);
  }
}

}  // namespace keyshard
