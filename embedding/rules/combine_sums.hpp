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
template <class T>
struct SumState {
  T sum;
};

template <class T>
struct SumBack {
  T gradient;  ///< of each row of the bag
};

/// What sum, mean and sqrtn share: they differ in the divisor.
template <class T>
struct SumFamily {
  using Number = T;
  using Family = SumFamily;
  using State = SumState<T>;
  using Back = SumBack<T>;
  static constexpr bool kBackNeedsState =
      false;  ///< whether backward needs the state of the bag and the rows
  static constexpr Widths kWidths = usual_for_floats<T>;

  KEYSHARD_HD static State start(T x) { return {x}; }

  KEYSHARD_HD static State add(State s, T x) { return {s.sum + x}; }

  KEYSHARD_HD static State merge(State a, State b) { return {a.sum + b.sum}; }

  KEYSHARD_HD static T gradient(Back back, T /*x*/) { return back.gradient; }

  KEYSHARD_HD static constexpr T empty(EmptyForm) { return 0; }
};

template <class T>
struct SumOf : SumFamily<T> {
  static constexpr const char* kName = "sum";

  KEYSHARD_HD static T value(SumState<T> s, std::int64_t) { return s.sum; }

  KEYSHARD_HD static SumBack<T> back(T g, SumState<T>, std::int64_t) { return {g}; }
};

template <class T>
struct MeanOf : SumFamily<T> {
  static constexpr const char* kName = "mean";

  KEYSHARD_HD static constexpr T empty(EmptyForm) { return std::numeric_limits<T>::quiet_NaN(); }

  KEYSHARD_HD static T value(SumState<T> s, std::int64_t n) { return s.sum / static_cast<T>(n); }

  KEYSHARD_HD static SumBack<T> back(T g, SumState<T>, std::int64_t n) {
    return {g / static_cast<T>(n)};
  }
};

template <class T>
struct SqrtNOf : SumFamily<T> {
  static constexpr const char* kName = "sqrtn";

  KEYSHARD_HD static T value(SumState<T> s, std::int64_t n) {
    return s.sum / std::sqrt(static_cast<T>(n));
  }

  KEYSHARD_HD static SumBack<T> back(T g, SumState<T>, std::int64_t n) {
    return {g / std::sqrt(static_cast<T>(n))};
  }
};

using Sum = SumOf<float>;
using Mean = MeanOf<float>;
using SqrtN = SqrtNOf<float>;

}  // namespace keyshard
