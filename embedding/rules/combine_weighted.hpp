// Sum, mean and sqrtn of rows times the weights of their ids. Weights are taken as they are,
// negative ones too. `mean` divides by the sum of the weights of a bag, `sqrtn` by the root of the
// sum of their squares; where that divisor is 0, the bag gives a zero vector and no gradient.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <variant>

#include "embedding/rules/combiners.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// Sums over the ids of a bag, in their order.
struct BagWeight {
  float sum;      ///< of the weights
  float squares;  ///< of their squares
};

/// Rows are multiplied by their weights before they reach `start` and `add`, and the gradient of a
/// row is multiplied by its weight.
struct WeightedSum : SumFamily {
  static constexpr bool kWeighted = true;

  KEYSHARD_HD static float value(State s, BagWeight) { return s.sum; }

  KEYSHARD_HD static Back back(float g, State, BagWeight) { return {g}; }
};

/// A weighted sum over a divisor of the bag.
template <class Divisor>
struct WeightedQuotient : SumFamily {
  static constexpr bool kWeighted = true;

  KEYSHARD_HD static float value(State s, BagWeight weight) {
    const float divisor = Divisor::of(weight);
    return divisor == 0 ? 0.0f : s.sum / divisor;
  }

  KEYSHARD_HD static Back back(float g, State, BagWeight weight) {
    const float divisor = Divisor::of(weight);
    return {divisor == 0 ? 0.0f : g / divisor};
  }
};

struct SumOfWeights {
  KEYSHARD_HD static float of(BagWeight weight) { return weight.sum; }
};

struct RootOfSquares {
  KEYSHARD_HD static float of(BagWeight weight) { return std::sqrt(weight.squares); }
};

using WeightedMean = WeightedQuotient<SumOfWeights>;
using WeightedSqrtN = WeightedQuotient<RootOfSquares>;

template <class C>
concept TakesWeights = requires {
  C::kWeighted;
};

template <class Variant, class... More>
struct Append;

template <class... Some, class... More>
struct Append<std::variant<Some...>, More...> {
  using Type = std::variant<Some..., More...>;
};

/// What bags are pooled by: the combiners of the family, then those with weights.
using BagCombiner = Append<Combiner, WeightedSum, WeightedMean, WeightedSqrtN>::Type;

/// The place in BagCombiner of a combiner with weights; nothing where it takes none.
inline std::optional<std::size_t> weighted_place(const Combiner& combiner) {
  constexpr std::size_t kFirst = std::variant_size_v<Combiner>;
  return std::holds_alternative<Sum>(combiner)     ? std::optional(kFirst)
         : std::holds_alternative<Mean>(combiner)  ? std::optional(kFirst + 1)
         : std::holds_alternative<SqrtN>(combiner) ? std::optional(kFirst + 2)
                                                   : std::nullopt;
}

/// Whether ids may have weights.
inline bool takes_weights(const AnyCombiner& combiner) {
  const auto* built_in = std::get_if<Combiner>(&combiner);
  return built_in != nullptr && weighted_place(*built_in).has_value();
}

}  // namespace keyshard
