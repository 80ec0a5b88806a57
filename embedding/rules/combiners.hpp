// How the rows of a bag become one vector. A combiner is a mergeable state per column: `start` from
// one row, `add` the next, `merge` two states, `value` at the end. Owners can so pool their part of
// a bag and the asker merges the parts. Backward, `back` turns the bag's gradient and state into
// what every id of the bag needs to know, and `gradient` into that of one row.
//
// A struct says all that is particular to its combiner, and `Combiner` lists it. States and
// backward messages travel as bytes: both are trivially copyable, aligned to 8 bytes at most.
//
// Ties of min and max share the gradient equally. A bag with no ids gives zero and no gradient;
// that is the caller's part.
#pragma once

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
      false;  ///< backward can do without the bag's state and the rows

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

/// The extreme value and how many rows of the bag have it, an exact count (below 2^24).
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
      // Of -0 and +0, which compare equal, the one first in the total order of minus before plus
      // wins (last for max).
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

/// The table of the family.
using Combiner = std::variant<Sum, Mean, Min, Max, SqrtN>;

/// The combiner of that name ("sqrt_n" is another name of sqrtn). Throws Error{invalid_argument}
/// with the list of names and the nearest, Error{not_built} for one that is part of the contract
/// but not of this version.
Combiner combiner_of(const std::string& name);
const char* name_of(const Combiner& combiner);
const std::vector<std::string>& combiner_names();

/// Reads the name of a combiner under `key`. A problem is recorded in `settings`.
Combiner read_combiner(Settings& settings, const char* key, const Combiner& otherwise);

/// Bytes per column of a state and of a backward message, for messages between ranks.
std::int64_t state_bytes(const Combiner& combiner);
std::int64_t back_bytes(const Combiner& combiner);
/// The alignment that both need, in bytes.
std::int64_t combiner_alignment(const Combiner& combiner);
/// Whether backward needs the bag's state and the rows.
bool back_needs_state(const Combiner& combiner);

}  // namespace keyshard
