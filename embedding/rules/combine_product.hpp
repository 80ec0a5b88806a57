// The combiner that multiplies rows: prod (combiners.hpp says what a combiner is).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "embedding/rules/empty_form.hpp"
#include "runtime/columns.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// The product of the numbers that are not 0, as mantissa * 2^exponent, so that only the end result
/// can leave the range of floats; and how many zeros were left out, an exact count below 2^24.
struct ProdState {
  float mantissa;
  float exponent;
  float zeros;
};

/// The product. The gradient of a row is the gradient of the bag times the product of the other
/// rows, also where rows are 0: with one zero in the bag only that row has a gradient, with two or
/// more no row has one.
struct Prod {
  using State = ProdState;
  using Back = ProdState;  ///< the gradient of the bag times the state
  static constexpr const char* kName = "prod";
  static constexpr bool kBackNeedsState = true;
  static constexpr Widths kWidths = Widths::any;

  /// x as a mantissa in [1, 2) with the sign of x, and an exponent. 0, infinity and NaN stay as
  /// they are.
  KEYSHARD_HD static State split(float x) {
    constexpr std::uint32_t kExponent = 0x7F800000u;
    float scale = 0;
    if (std::fabs(x) < 0x1p-126f) {  // subnormal
      x *= 0x1p24f;
      scale = -24;
    }
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
    if (x == 0 || (bits & kExponent) == kExponent) {
      return {x, 0, 0};
    }
    const auto exponent = static_cast<std::int32_t>((bits & kExponent) >> 23) - 127;
    return {std::bit_cast<float>((bits & ~kExponent) | 0x3F800000u),
            scale + static_cast<float>(exponent), 0};
  }

  /// mantissa * 2^exponent, rounded once.
  KEYSHARD_HD static float joined(float mantissa, float exponent) {
    // Beyond 1000 every float is 0 or infinite.
    const float near = exponent < -1000 ? -1000 : exponent > 1000 ? 1000 : exponent;
    const auto bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(near) + 1023) << 52;
    return static_cast<float>(static_cast<double>(mantissa) * std::bit_cast<double>(bits));
  }

  KEYSHARD_HD static State start(float x) { return x == 0 ? State{1, 0, 1} : split(x); }

  KEYSHARD_HD static State merge(State a, State b) {
    const State product = split(a.mantissa * b.mantissa);
    return {product.mantissa, a.exponent + b.exponent + product.exponent, a.zeros + b.zeros};
  }

  KEYSHARD_HD static State add(State s, float x) { return merge(s, start(x)); }

  KEYSHARD_HD static float value(State s, std::int64_t) {
    return s.zeros > 0 ? s.mantissa * 0.0f : joined(s.mantissa, s.exponent);
  }

  KEYSHARD_HD static Back back(float g, State s, std::int64_t) { return merge(split(g), s); }

  KEYSHARD_HD static float gradient(Back back, float x) {
    if (back.zeros > 0) {
      return back.zeros == 1 && x == 0 ? joined(back.mantissa, back.exponent) : 0.0f;
    }
    const State own = split(x);
    return joined(back.mantissa / own.mantissa, back.exponent - own.exponent);
  }

  static float empty(EmptyForm) { return 1; }
};

}  // namespace keyshard
