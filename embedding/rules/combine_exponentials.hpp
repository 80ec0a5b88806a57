// The combiner that adds exponentials: logsumexp (combiners.hpp says what a combiner is).
#pragma once

#include <cstdint>
#include <limits>

#include "embedding/rules/empty_form.hpp"
#include "runtime/columns.hpp"
#include "runtime/portable.hpp"
#include "runtime/portable_math.hpp"

namespace keyshard {

/// The largest row, and the sum of e^(row - largest): from 1 to the number of rows.
template <class T>
struct ExponentialState {
  T largest;
  T sum;
};

/// The gradient of a row is e^(row - largest) times `scale`.
template <class T>
struct ExponentialBack {
  T largest;
  T scale;
};

/// The logarithm of the sum of exponentials. Rows that are minus infinity add nothing.
template <class T>
struct LogSumExpOf {
  using Number = T;
  using State = ExponentialState<T>;
  using Back = ExponentialBack<T>;
  static constexpr const char* kName = "logsumexp";
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::any;

  KEYSHARD_HD static State start(T x) { return {x, 1}; }

  KEYSHARD_HD KEYSHARD_INLINE static State add(State s, T x) { return merge(s, start(x)); }

  /// Scales the sum of the state whose largest row is the smaller one. Equal infinities have no
  /// difference that is a number.
  KEYSHARD_HD KEYSHARD_INLINE static State merge(State a, State b) {
    const T above = choose(a.largest == b.largest, T{0}, a.largest - b.largest);
    const bool b_leads = above < 0;
    const T factor = portable_decay(choose(b_leads, above, -above));
    return {choose(b_leads, b.largest, a.largest),
            a.sum * choose(b_leads, factor, T{1}) + b.sum * choose(b_leads, T{1}, factor)};
  }

  /// The sum is 1 or more, or no number: then the logarithm takes the 1.
  KEYSHARD_HD static T value(State s, std::int64_t) {
    const bool number = s.sum >= 1;
    const T log = portable_log_of(choose(number, s.sum, T{1}));
    return choose(number, s.largest + log, s.sum);
  }

  KEYSHARD_HD static Back back(T g, State s, std::int64_t) { return {s.largest, g / s.sum}; }

  KEYSHARD_HD static T gradient(Back back, T x) {
    return back.scale * portable_decay(x == back.largest ? T{0} : x - back.largest);
  }

  KEYSHARD_HD static constexpr T empty(EmptyForm) { return -std::numeric_limits<T>::infinity(); }
};

using LogSumExp = LogSumExpOf<float>;

}  // namespace keyshard
