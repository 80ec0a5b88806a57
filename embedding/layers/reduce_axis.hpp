// The reduction of the second axis of dense vectors [B, n, inner x D] -> [B, inner x D] with a
// combiner, and its gradient: what SquashedEmbedding does after pooling, where ids have three axes
// or more.
#pragma once

#include <cstdint>

#include "embedding/rules/combiners.hpp"

namespace keyshard {

/// One sample: out[b] = combiner of in[b, 0 .. n), column by column, in order; `empty` where n is
/// 0.
template <class C>
struct ReduceAxis {
  const float* in;
  std::int64_t n;
  std::int64_t columns;  ///< inner x D
  float empty;
  float* out;

  KEYSHARD_HD typename C::State state(std::int64_t b, std::int64_t column) const {
    const float* x = in + b * n * columns + column;
    typename C::State sum = C::start(x[0]);
    for (std::int64_t i = 1; i < n; ++i) {
      sum = C::add(sum, x[i * columns]);
    }
    return sum;
  }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t b, const Team& team) const {
    for (std::int64_t c = team.thread_rank(); c < columns; c += team.num_threads()) {
      out[b * columns + c] = n == 0 ? empty : C::value(state(b, c), n);
    }
  }
};

/// gradient[b, i] = the gradient of in[b, i], where upstream[b] is the gradient of out[b].
template <class C>
struct ReduceAxisGradient {
  ReduceAxis<C> forward;
  const float* upstream;
  float* gradient;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t b, const Team& team) const {
    const std::int64_t n = forward.n, columns = forward.columns;
    for (std::int64_t c = team.thread_rank(); c < columns && n > 0; c += team.num_threads()) {
      const auto back = C::back(upstream[b * columns + c], forward.state(b, c), n);
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t at = (b * n + i) * columns + c;
        gradient[at] = C::gradient(back, forward.in[at]);
      }
    }
  }
};

}  // namespace keyshard
