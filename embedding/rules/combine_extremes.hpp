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
  static constexpr Widths kWidths = Widths::any;

  KEYSHARD_HD static State start(float x) { return {x, 1}; }

  /// Without a branch. -0 and +0 compare equal: min takes -0 and max takes +0, whatever their
  /// order.
  KEYSHARD_HD static State merge(State a, State b) {
    const bool equal = a.value == b.value;
    const bool first = kMax ? a.value > b.value : a.value < b.value;
    const auto x = std::bit_cast<std::uint32_t>(a.value), y = std::bit_cast<std::uint32_t>(b.value);
    const float both = std::bit_cast<float>(kMax ? x & y : x | y);
    return {choose(equal, both, choose(first, a.value, b.value)),
            choose(kMax ? a.value >= b.value : a.value <= b.value, a.ties, 0.0f) +
                choose(first, 0.0f, b.ties)};
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
