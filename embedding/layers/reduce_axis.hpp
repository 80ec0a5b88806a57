// The reduction of the second axis of dense vectors [B, n, inner x D] -> [B, inner x D] with a
// combiner, and its gradient: what SquashedEmbedding does after pooling, where ids have three axes
// or more. A vector may be absent, since all of its ids are masked: it takes no part, and where all
// are absent the result is zero, and absent in the next reduction.
#pragma once

#include <cstdint>

#include "embedding/rules/combiners.hpp"

namespace keyshard {

/// One sample: out[b] = combiner of in[b, 0 .. n), column by column, in order; `empty` where
/// none takes part.
template <class C>
struct ReduceAxis {
  using Number = typename C::Number;

  const Number* in;
  std::int64_t n;
  std::int64_t columns;  ///< inner x D
  Number empty;          ///< the result where none takes part
  Number* out;
  const std::uint8_t* present = nullptr;  ///< [B, n, inner]; null: all are
  std::int64_t dim = 1;                   ///< D; used where `present` is given
  std::uint8_t* out_present = nullptr;    ///< [B, inner]; written where `present` is given

  KEYSHARD_HD bool takes(std::int64_t b, std::int64_t i, std::int64_t column) const {
    return present == nullptr || present[(b * n + i) * (columns / dim) + column / dim] != 0;
  }

  /// The first vector that takes part from `i` on, or n.
  KEYSHARD_HD std::int64_t next(std::int64_t b, std::int64_t i, std::int64_t column) const {
    while (i < n && !takes(b, i, column)) {
      ++i;
    }
    return i;
  }

  /// The state of those that take part, the first of which is `first` < n; `count` gets their
  /// number.
  KEYSHARD_HD typename C::State state(std::int64_t b, std::int64_t column, std::int64_t first,
                                      std::int64_t& count) const {
    const Number* x = in + b * n * columns + column;
    typename C::State sum = C::start(x[first * columns]);
    if (present == nullptr) {
      for (std::int64_t i = 1; i < n; ++i) {
        sum = C::add(sum, x[i * columns]);
      }
      count = n;
      return sum;
    }
    count = 1;
    for (std::int64_t i = next(b, first + 1, column); i < n; i = next(b, i + 1, column)) {
      sum = C::add(sum, x[i * columns]);
      ++count;
    }
    return sum;
  }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t b, const Team& team) const {
    for (std::int64_t c = team.thread_rank(); c < columns; c += team.num_threads()) {
      const std::int64_t first = next(b, 0, c);
      Number value = empty;
      if (first < n) {
        std::int64_t count = 0;
        const typename C::State all = state(b, c, first, count);
        value = C::value(all, count);
      }
      out[b * columns + c] = value;
      if (out_present != nullptr && c % dim == 0) {
        out_present[b * (columns / dim) + c / dim] = first < n ? 1 : 0;
      }
    }
  }
};

/// gradient[b, i] = the gradient of in[b, i], where upstream[b] is the gradient of out[b]; 0 where
/// in[b, i] is absent.
template <class C>
struct ReduceAxisGradient {
  using Number = typename C::Number;

  ReduceAxis<C> forward;
  const Number* upstream;
  Number* gradient;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t b, const Team& team) const {
    const std::int64_t n = forward.n, columns = forward.columns;
    for (std::int64_t c = team.thread_rank(); c < columns; c += team.num_threads()) {
      const std::int64_t first = forward.next(b, 0, c);
      for (std::int64_t i = 0; i < first; ++i) {
        gradient[(b * n + i) * columns + c] = 0;
      }
      if (first == n) {
        continue;
      }
      std::int64_t count = 0;
      const auto state = forward.state(b, c, first, count);
      const auto back = C::back(upstream[b * columns + c], state, count);
      for (std::int64_t i = first; i < n; ++i) {
        const std::int64_t at = (b * n + i) * columns + c;
        gradient[at] = forward.takes(b, i, c) ? C::gradient(back, forward.in[at]) : Number{0};
      }
    }
  }
};

}  // namespace keyshard
