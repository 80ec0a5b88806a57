// How the rows of a bag become one vector. A combiner is a mergeable state per column: `start`
// makes a state from the first row, `add` adds the next row, `merge` joins two states, and `value`
// is the result for n rows. So each owner can pool its part of a bag, and the asker merges the
// parts. Backward, `back` makes the backward message from the gradient and state of the bag, and
// `gradient` makes the gradient of one row from that message and the row.
//
// A struct says all that is particular to its combiner, and `Combiner` lists it. States and
// backward messages travel as bytes: both are trivially copyable, aligned to 8 bytes at most.
//
// Rows that tie for min or max share the gradient equally. A bag with no ids gives zero and no
// gradient: callers see to that, a combiner never gets such a bag.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

class Settings;

/// The state and the backward message of sums: one number.
struct SumState {
  float sum;
};

struct SumBack {
  float gradient;  ///< of each row of the bag
};

/// What sum, mean and sqrtn share: they differ in the divisor.
struct SumFamily {
  using State = SumState;
  using Back = SumBack;
  static constexpr bool kBackNeedsState =
      false;  ///< whether backward needs the state of the bag and the rows

  KEYSHARD_HD static State start(float x) { return {x}; }

  KEYSHARD_HD static State add(State s, float x) { return {s.sum + x}; }

  KEYSHARD_HD static State merge(State a, State b) { return {a.sum + b.sum}; }

  KEYSHARD_HD static float gradient(Back back, float /*x*/) { return back.gradient; }
};

struct Sum : SumFamily {
  static constexpr const char* kName = "sum";

  KEYSHARD_HD static float value(State s, std::int64_t) { return s.sum; }

  KEYSHARD_HD static Back back(float g, State, std::int64_t) { return {g}; }
};

struct Mean : SumFamily {
  static constexpr const char* kName = "mean";

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
};

using Min = Extreme<false>;
using Max = Extreme<true>;

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
};

/// The table of the family (family.hpp).
using Combiner = std::variant<Sum, Mean, Min, Max, SqrtN, Prod>;

/// The combiner of that name ("sqrt_n" is another name of sqrtn). Throws Error{invalid_argument}
/// with the list of names and the nearest, Error{not_built} for a combiner of the contract that is
/// not in this version.
Combiner combiner_of(const std::string& name);
const char* name_of(const Combiner& combiner);
const std::vector<std::string>& combiner_names();

/// Reads the name of a combiner under `key`; `otherwise` where the key is absent or wrong. A
/// problem is recorded in `settings`.
Combiner read_combiner(Settings& settings, const char* key, const Combiner& otherwise);

/// Bytes per column of a state and of a backward message, for messages between ranks.
std::int64_t state_bytes(const Combiner& combiner);
std::int64_t back_bytes(const Combiner& combiner);
/// The alignment that both need, in bytes.
std::int64_t combiner_alignment(const Combiner& combiner);
/// Whether backward needs the bag's state and the rows.
bool back_needs_state(const Combiner& combiner);

}  // namespace keyshard
