// The combiners that add squares: variance and std, of the population, and euclidean_norm
// (combiners.hpp says what a combiner is). They work in double, so that no square of a float leaves
// its range.
#pragma once

#include <cstdint>
#include <limits>

#include "embedding/rules/empty_form.hpp"
#include "runtime/columns.hpp"
#include "runtime/portable.hpp"
#include "runtime/portable_math.hpp"

namespace keyshard {

/// How many rows there are, their mean, and the sum of their squared deviations from it.
struct MomentState {
  double count;
  double mean;
  double deviations;
};

/// The gradient of a row is its deviation from the mean times `scale`.
struct MomentBack {
  double mean;
  double scale;
};

/// What variance and std share. Sources: B. P. Welford, Technometrics 4 (1962), for the next row;
/// T. F. Chan, G. H. Golub and R. J. LeVeque, Compstat (1982), for two states. Equal rows have a
/// mean and deviations without any rounding: their deviations are 0.
template <class T>
struct MomentFamily {
  using Number = T;
  using Family = MomentFamily;
  using State = MomentState;
  using Back = MomentBack;
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::any;

  KEYSHARD_HD static State start(T x) { return {1, static_cast<double>(x), 0}; }

  KEYSHARD_HD static State add(State s, T x) {
    const double count = s.count + 1;
    const double delta = static_cast<double>(x) - s.mean;
    const double mean = s.mean + delta / count;
    return {count, mean, s.deviations + delta * (static_cast<double>(x) - mean)};
  }

  KEYSHARD_HD static State merge(State a, State b) {
    const double count = a.count + b.count;
    const double delta = b.mean - a.mean;
    const double share = b.count / count;
    return {count, a.mean + delta * share,
            a.deviations + b.deviations + delta * delta * (a.count * share)};
  }

  KEYSHARD_HD static T gradient(Back back, T x) {
    return static_cast<T>(back.scale * (static_cast<double>(x) - back.mean));
  }

  KEYSHARD_HD static constexpr T empty(EmptyForm) { return std::numeric_limits<T>::quiet_NaN(); }
};

template <class T>
struct VarianceOf : MomentFamily<T> {
  using State = MomentState;
  using Back = MomentBack;
  static constexpr const char* kName = "variance";

  KEYSHARD_HD static T value(State s, std::int64_t n) {
    return static_cast<T>(s.deviations / static_cast<double>(n));
  }

  KEYSHARD_HD static Back back(T g, State s, std::int64_t n) {
    return {s.mean, 2 * static_cast<double>(g) / static_cast<double>(n)};
  }
};

/// The root of the variance. A bag of equal rows has no gradient.
template <class T>
struct StdOf : MomentFamily<T> {
  using State = MomentState;
  using Back = MomentBack;
  static constexpr const char* kName = "std";

  KEYSHARD_HD static double root(State s, std::int64_t n) {
    return portable_sqrt(s.deviations / static_cast<double>(n));
  }

  KEYSHARD_HD static T value(State s, std::int64_t n) { return static_cast<T>(root(s, n)); }

  KEYSHARD_HD static Back back(T g, State s, std::int64_t n) {
    const double scale = static_cast<double>(g) / (static_cast<double>(n) * root(s, n));
    return {s.mean, s.deviations == 0 ? 0.0 : scale};
  }
};

struct SquareState {
  double squares;
};

struct SquareBack {
  double scale;  ///< the gradient of a row is the row times this
};

/// The root of the sum of squares. A bag of zeros has no gradient.
template <class T>
struct EuclideanNormOf {
  using Number = T;
  using State = SquareState;
  using Back = SquareBack;
  static constexpr const char* kName = "euclidean_norm";
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::any;

  KEYSHARD_HD static State start(T x) { return {static_cast<double>(x) * static_cast<double>(x)}; }

  KEYSHARD_HD static State add(State s, T x) { return merge(s, start(x)); }

  KEYSHARD_HD static State merge(State a, State b) { return {a.squares + b.squares}; }

  KEYSHARD_HD static T value(State s, std::int64_t) {
    return static_cast<T>(portable_sqrt(s.squares));
  }

  KEYSHARD_HD static Back back(T g, State s, std::int64_t) {
    return {s.squares == 0 ? 0.0 : static_cast<double>(g) / portable_sqrt(s.squares)};
  }

  KEYSHARD_HD static T gradient(Back back, T x) {
    return static_cast<T>(back.scale * static_cast<double>(x));
  }

  KEYSHARD_HD static constexpr T empty(EmptyForm) { return 0; }
};

using Variance = VarianceOf<float>;
using Std = StdOf<float>;
using EuclideanNorm = EuclideanNormOf<float>;

}  // namespace keyshard
