// The lanes that work on one row together. On a GPU a team is a tile of 8, 16 or 32 lanes of a warp
// and has the names of cooperative groups; on a CPU it is one lane. Functors are written for any
// width: every lane reaches every collective of the team, from the same line; no lane returns
// before the last one.
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

/// A team of one lane.
struct Solo {
  KEYSHARD_HD constexpr int thread_rank() const { return 0; }

  KEYSHARD_HD constexpr int num_threads() const { return 1; }

  KEYSHARD_HD void sync() const {}

  KEYSHARD_HD bool any(bool value) const { return value; }

  KEYSHARD_HD bool all(bool value) const { return value; }

  KEYSHARD_HD unsigned ballot(bool value) const { return value ? 1u : 0u; }

  template <class T>
  KEYSHARD_HD T shfl(T value, int /*from*/) const {
    return value;
  }
};

/// The tree over `held` partial sums, a power of two of at most 2 kHalf: adds the upper half of the
/// sums that are left to the lower half, until only partial[0] is left.
template <int kHalf, class T>
KEYSHARD_HD KEYSHARD_INLINE void add_halves(T* partial, int held) {
  if constexpr (kHalf > 0) {
    if (kHalf < held) {
      for (int k = 0; k < kHalf; ++k) {
        partial[k] = partial[k] + partial[k + kHalf];
      }
    }
    add_halves<kHalf / 2>(partial, held);
  }
}

/// Adds term(i) for i in [0, n) over the lanes of a team, with the same bits at every width: 32
/// partial sums, partial p of the terms p, p + 32, ... in order from +0, then a tree that adds
/// partial p + 16, + 8, + 4, + 2, + 1, as a warp does. Every lane gets the sum. The width is a
/// power of two, at most 32. `n` is a number or a FixedWidth.
template <class T, class Team, class N, class Term>
KEYSHARD_HD KEYSHARD_INLINE T strided_sum(const Team& team, N n, const Term& term) {
  const int width = static_cast<int>(team.num_threads());
  const int lane = static_cast<int>(team.thread_rank());
  T partial[32] = {};
  for (std::int64_t first = lane; first < n; first += 32) {
    const std::int64_t left = (n - first + width - 1) / width;
    const int terms = static_cast<int>(left < 32 / width ? left : 32 / width);
    for (int p = 0; p < terms; ++p) {
      partial[p] += term(first + std::int64_t{p} * width);
    }
  }
  int held = 32 / width;  // partials of this lane: lane, lane + width, ...
  while (held > 1 && held / 2 * width >= n) {
    held /= 2;  // the upper half has no terms, and a partial that is +0 changes no sum
  }
  add_halves<16>(partial, held);
  for (int step = width / 2; step > 0; step /= 2) {
    const T other = team.shfl(partial[0], (lane + step) % width);
    partial[0] = partial[0] + other;
  }
  return team.shfl(partial[0], 0);
}

}  // namespace keyshard
