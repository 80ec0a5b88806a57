// The combiner that multiplies rows: prod (combiners.hpp says what a combiner is).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "embedding/rules/empty_form.hpp"
#include "runtime/columns.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// How the bits of a number of type T, float or double, are split.
template <class T>
struct NumberBits {
  static constexpr bool kFloat = std::is_same_v<T, float>;
  using Bits = std::conditional_t<kFloat, std::uint32_t, std::uint64_t>;
  static constexpr int kFraction = kFloat ? 23 : 52;
  static constexpr std::int32_t kBias = kFloat ? 127 : 1023;
};

/// The product of the numbers that are not 0, as mantissa * 2^exponent, so that only the end result
/// can leave the range of T; and how many zeros were left out, an exact count below 2^24.
template <class T>
struct ProdState {
  T mantissa;
  T exponent;
  T zeros;
};

/// The product. The gradient of a row is the gradient of the bag times the product of the other
/// rows, also where rows are 0: with one zero in the bag only that row has a gradient, with two or
/// more no row has one.
template <class T>
struct ProdOf {
  using Number = T;
  using State = ProdState<T>;
  using Back = ProdState<T>;  ///< the gradient of the bag times the state
  static constexpr const char* kName = "prod";
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::any;

  using Layout = NumberBits<T>;
  using Bits = typename Layout::Bits;
  static constexpr Bits kOne = Bits{Layout::kBias} << Layout::kFraction;  ///< of 1
  static constexpr Bits kExponent = (Bits{2 * Layout::kBias + 1}) << Layout::kFraction;

  /// x as a mantissa in [1, 2) with the sign of x, and an exponent. 0, infinity and NaN stay as
  /// they are.
  KEYSHARD_HD static State split(T x) {
    T scale = 0;
    if (std::fabs(x) < std::numeric_limits<T>::min()) {  // subnormal
      x *= static_cast<T>(Bits{1} << (Layout::kFraction + 1));
      scale = -static_cast<T>(Layout::kFraction + 1);
    }
    const Bits bits = std::bit_cast<Bits>(x);
    if (x == 0 || (bits & kExponent) == kExponent) {
      return {x, 0, 0};
    }
    const auto exponent =
        static_cast<std::int32_t>((bits & kExponent) >> Layout::kFraction) - Layout::kBias;
    return {std::bit_cast<T>((bits & ~kExponent) | kOne), scale + static_cast<T>(exponent), 0};
  }

  /// mantissa * 2^exponent, rounded once.
  KEYSHARD_HD static T joined(T mantissa, T exponent) {
    if constexpr (std::is_same_v<T, float>) {
      // Beyond 1000 every float is 0 or infinite.
      const float near = exponent < -1000 ? -1000 : exponent > 1000 ? 1000 : exponent;
      return static_cast<float>(static_cast<double>(mantissa) * power_of_two(near));
    } else {
      // Beyond 2200 every double is 0 or infinite. Of the factors only the last one can round.
      const T near = exponent < -2200 ? -2200 : exponent > 2200 ? 2200 : exponent;
      const T step = near < 0 ? T{-1000} : T{1000};
      T left = near, value = mantissa;
      while (std::fabs(left) > T{1000}) {
        value *= power_of_two(step);
        left -= step;
      }
      return value * power_of_two(left);
    }
  }

  KEYSHARD_HD static State start(T x) { return x == 0 ? State{1, 0, 1} : split(x); }

  KEYSHARD_HD static State merge(State a, State b) {
    const State product = split(a.mantissa * b.mantissa);
    return {product.mantissa, a.exponent + b.exponent + product.exponent, a.zeros + b.zeros};
  }

  KEYSHARD_HD static State add(State s, T x) { return merge(s, start(x)); }

  KEYSHARD_HD static T value(State s, std::int64_t) {
    return s.zeros > 0 ? s.mantissa * T{0} : joined(s.mantissa, s.exponent);
  }

  KEYSHARD_HD static Back back(T g, State s, std::int64_t) { return merge(split(g), s); }

  KEYSHARD_HD static T gradient(Back back, T x) {
    if (back.zeros > 0) {
      return back.zeros == 1 && x == 0 ? joined(back.mantissa, back.exponent) : T{0};
    }
    const State own = split(x);
    return joined(back.mantissa / own.mantissa, back.exponent - own.exponent);
  }

  KEYSHARD_HD static constexpr T empty(EmptyForm) { return 1; }

 private:
  /// For an integer from -1000 to 1000.
  KEYSHARD_HD static double power_of_two(T exponent) {
    return std::bit_cast<double>(
        static_cast<std::uint64_t>(static_cast<std::int64_t>(exponent) + 1023) << 52);
  }
};

using Prod = ProdOf<float>;

}  // namespace keyshard
