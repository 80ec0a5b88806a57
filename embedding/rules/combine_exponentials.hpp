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
struct ExponentialState {
  float largest;
  float sum;
};

/// The gradient of a row is e^(row - largest) times `scale`.
struct ExponentialBack {
  float largest;
  float scale;
};

/// The logarithm of the sum of exponentials. Rows that are minus infinity add nothing.
struct LogSumExp {
  using State = ExponentialState;
  using Back = ExponentialBack;
  static constexpr const char* kName = "logsumexp";
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::any;

  KEYSHARD_HD static State start(float x) { return {x, 1}; }

  KEYSHARD_HD KEYSHARD_INLINE static State add(State s, float x) { return merge(s, start(x)); }

  /// Scales the sum of the state whose largest row is the smaller one. Equal infinities have no
  /// difference that is a number.
  KEYSHARD_HD KEYSHARD_INLINE static State merge(State a, State b) {
    const float above = choose(a.largest == b.largest, 0.0f, a.largest - b.largest);
    const bool b_leads = above < 0;
    const float factor = portable_decay(choose(b_leads, above, -above));
    return {choose(b_leads, b.largest, a.largest),
            a.sum * choose(b_leads, factor, 1.0f) + b.sum * choose(b_leads, 1.0f, factor)};
  }

  /// The sum is 1 or more, or no number: then the logarithm takes the 1.
  KEYSHARD_HD static float value(State s, std::int64_t) {
    const bool number = s.sum >= 1;
    const float log = portable_log_float(choose(number, s.sum, 1.0f));
    return choose(number, s.largest + log, s.sum);
  }

  KEYSHARD_HD static Back back(float g, State s, std::int64_t) { return {s.largest, g / s.sum}; }

  KEYSHARD_HD static float gradient(Back back, float x) {
    return back.scale * portable_decay(x == back.largest ? 0.0f : x - back.largest);
  }

  static float empty(EmptyForm) { return -std::numeric_limits<float>::infinity(); }
};

}  // namespace keyshard
