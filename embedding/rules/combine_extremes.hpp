// The combiners that choose a row, column by column: min and max (combiners.hpp says what a
// combiner is). Rows that tie share the gradient equally.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "embedding/rules/empty_form.hpp"
#include "runtime/columns.hpp"
#include "runtime/portable.hpp"
#include "runtime/portable_math.hpp"

namespace keyshard {

/// The extreme value, and how many rows of the bag have that value: an exact count below 2^24.
template <class T>
struct ExtremeState {
  T value;
  T ties;
};

template <class T>
struct ExtremeBack {
  T share;  ///< the gradient of each row that has the extreme value
  T value;
};

template <bool kMax, class T>
struct Extreme {
  static constexpr const char* kName = kMax ? "max" : "min";
  using Number = T;
  using State = ExtremeState<T>;
  using Back = ExtremeBack<T>;
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::any;

  KEYSHARD_HD static State start(T x) { return {x, 1}; }

  /// Without a branch. -0 and +0 compare equal: min takes -0 and max takes +0, whatever their
  /// order.
  KEYSHARD_HD static State merge(State a, State b) {
    const bool equal = a.value == b.value;
    const bool first = kMax ? a.value > b.value : a.value < b.value;
    const auto x = bits_of(a.value), y = bits_of(b.value);
    const T both = std::bit_cast<T>(kMax ? x & y : x | y);
    return {choose(equal, both, choose(first, a.value, b.value)),
            choose(kMax ? a.value >= b.value : a.value <= b.value, a.ties, T{0}) +
                choose(first, T{0}, b.ties)};
  }

  KEYSHARD_HD static State add(State s, T x) { return merge(s, start(x)); }

  KEYSHARD_HD static T value(State s, std::int64_t) { return s.value; }

  KEYSHARD_HD static Back back(T g, State s, std::int64_t) { return {g / s.ties, s.value}; }

  KEYSHARD_HD static T gradient(Back back, T x) { return x == back.value ? back.share : T{0}; }

  KEYSHARD_HD static constexpr T empty(EmptyForm form) {
    using Limits = std::numeric_limits<T>;
    const T beyond = form == EmptyForm::ragged ? Limits::max() : Limits::infinity();
    return kMax ? -beyond : beyond;
  }
};

template <class T>
using MinOf = Extreme<false, T>;
template <class T>
using MaxOf = Extreme<true, T>;
using Min = MinOf<float>;
using Max = MaxOf<float>;

}  // namespace keyshard
