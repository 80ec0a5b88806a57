// The combiners that choose a row, column by column: min and max (combiners.hpp says what a
// combiner is). Rows that tie share the gradient equally.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "embedding/rules/empty_form.hpp"
#include "runtime/columns.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// The extreme value, and how many rows of the bag have that value: an exact count below 2^24.
struct ExtremeState {
  float value;
  float ties;
};

struct ExtremeBack {
  float share;  ///< the gradient of each row that has the extreme value
  float value;
};

template <bool kMax>
struct Extreme {
  static constexpr const char* kName = kMax ? "max" : "min";
  using State = ExtremeState;
  using Back = ExtremeBack;
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::usual;

  KEYSHARD_HD static State start(float x) { return {x, 1}; }

  KEYSHARD_HD static State merge(State a, State b) {
    if (a.value == b.value) {
      // -0 and +0 compare equal: min takes -0 and max takes +0, whatever their order.
      return {kMax != std::signbit(a.value) ? a.value : b.value, a.ties + b.ties};
    }
    return (kMax ? a.value > b.value : a.value < b.value) ? a : b;
  }

  KEYSHARD_HD static State add(State s, float x) { return merge(s, start(x)); }

  KEYSHARD_HD static float value(State s, std::int64_t) { return s.value; }

  KEYSHARD_HD static Back back(float g, State s, std::int64_t) { return {g / s.ties, s.value}; }

  KEYSHARD_HD static float gradient(Back back, float x) {
    return x == back.value ? back.share : 0.0f;
  }

  static float empty(EmptyForm form) {
    using Limits = std::numeric_limits<float>;
    const float beyond = form == EmptyForm::ragged ? Limits::max() : Limits::infinity();
    return kMax ? -beyond : beyond;
  }
};

using Min = Extreme<false>;
using Max = Extreme<true>;

}  // namespace keyshard
