// The combiners that add rows: sum, mean and sqrtn (combiners.hpp says what a combiner is).
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "embedding/rules/empty_form.hpp"
#include "runtime/columns.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// The state and the backward message of sums: one number.
struct SumState {
  float sum;
};

struct SumBack {
  float gradient;  ///< of each row of the bag
};

/// What sum, mean and sqrtn share: they differ in the divisor.
struct SumFamily {
  using Family = SumFamily;
  using State = SumState;
  using Back = SumBack;
  static constexpr bool kBackNeedsState =
      false;  ///< whether backward needs the state of the bag and the rows
  static constexpr Widths kWidths = Widths::usual;

  KEYSHARD_HD static State start(float x) { return {x}; }

  KEYSHARD_HD static State add(State s, float x) { return {s.sum + x}; }

  KEYSHARD_HD static State merge(State a, State b) { return {a.sum + b.sum}; }

  KEYSHARD_HD static float gradient(Back back, float /*x*/) { return back.gradient; }

  static float empty(EmptyForm) { return 0; }
};

struct Sum : SumFamily {
  static constexpr const char* kName = "sum";

  KEYSHARD_HD static float value(State s, std::int64_t) { return s.sum; }

  KEYSHARD_HD static Back back(float g, State, std::int64_t) { return {g}; }
};

struct Mean : SumFamily {
  static constexpr const char* kName = "mean";

  static float empty(EmptyForm) { return std::numeric_limits<float>::quiet_NaN(); }

  KEYSHARD_HD static float value(State s, std::int64_t n) { return s.sum / static_cast<float>(n); }

  KEYSHARD_HD static Back back(float g, State, std::int64_t n) {
    return {g / static_cast<float>(n)};
  }
};

struct SqrtN : SumFamily {
  static constexpr const char* kName = "sqrtn";

  KEYSHARD_HD static float value(State s, std::int64_t n) {
    return s.sum / std::sqrt(static_cast<float>(n));
  }

  KEYSHARD_HD static Back back(float g, State, std::int64_t n) {
    return {g / std::sqrt(static_cast<float>(n))};
  }
};

}  // namespace keyshard
