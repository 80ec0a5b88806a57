// Sum, mean and sqrtn of rows times the weights of their ids. Weights are taken as they are,
// negative ones too. `mean` divides by the sum of the weights of a bag, `sqrtn` by the root of the
// sum of their squares; where that divisor is 0, the bag gives a zero vector and no gradient.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <variant>

#include "embedding/rules/combiners.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// Sums over the ids of a bag, in their order.
template <class T>
struct WeightOfBag {
  T sum;      ///< of the weights
  T squares;  ///< of their squares
};

using BagWeight = WeightOfBag<float>;

/// Rows are multiplied by their weights before they reach `start` and `add`, and the gradient of a
/// row is multiplied by its weight.
template <class T>
struct WeightedFamily : SumFamily<T> {
  using Family = WeightedFamily;
  static constexpr bool kWeighted = true;
};

template <class T>
struct WeightedSum : WeightedFamily<T> {
  KEYSHARD_HD static T value(SumState<T> s, WeightOfBag<T>) { return s.sum; }

  KEYSHARD_HD static SumBack<T> back(T g, SumState<T>, WeightOfBag<T>) { return {g}; }
};

/// A weighted sum over a divisor of the bag.
template <class T, class Divisor>
struct WeightedQuotient : WeightedFamily<T> {
  KEYSHARD_HD static T value(SumState<T> s, WeightOfBag<T> weight) {
    const T divisor = Divisor::of(weight);
    return divisor == 0 ? T{0} : s.sum / divisor;
  }

  KEYSHARD_HD static SumBack<T> back(T g, SumState<T>, WeightOfBag<T> weight) {
    const T divisor = Divisor::of(weight);
    return {divisor == 0 ? T{0} : g / divisor};
  }
};

struct SumOfWeights {
  template <class T>
  KEYSHARD_HD static T of(WeightOfBag<T> weight) {
    return weight.sum;
  }
};

struct RootOfSquares {
  template <class T>
  KEYSHARD_HD static T of(WeightOfBag<T> weight) {
    return std::sqrt(weight.squares);
  }
};

template <class T>
using WeightedMean = WeightedQuotient<T, SumOfWeights>;
template <class T>
using WeightedSqrtN = WeightedQuotient<T, RootOfSquares>;

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
template <class T>
using BagCombinersOf =
    typename Append<CombinersOf<T>, WeightedSum<T>, WeightedMean<T>, WeightedSqrtN<T>>::Type;
using BagCombiner = BagCombinersOf<float>;

/// What combiners with one state share, or the combiner itself.
template <class C>
struct FamilyOfCombiner {
  using Type = C;
};

template <class C>
requires requires { typename C::Family; }

struct FamilyOfCombiner<C> {
  using Type = typename C::Family;
};

/// The family of alternative I of BagCombiner.
template <std::size_t I>
using CombinerFamily = typename FamilyOfCombiner<std::variant_alternative_t<I, BagCombiner>>::Type;

/// Whether an alternative before I is of the same family.
template <std::size_t I, std::size_t K = 0>
constexpr bool family_came_before() {
  if constexpr (K < I) {
    return std::is_same_v<CombinerFamily<K>, CombinerFamily<I>> || family_came_before<I, K + 1>();
  }
  return false;
}

/// Whether an alternative of BagCombiner is of that family.
template <class Family, std::size_t I = 0>
constexpr bool is_family() {
  if constexpr (I < std::variant_size_v<BagCombiner>) {
    return std::is_same_v<Family, CombinerFamily<I>> || is_family<Family, I + 1>();
  }
  return false;
}

/// Calls body(C{}) with alternative `kind` of BagCombiner, which is of that family; a combiner of
/// the program is its own family.
template <class Family, std::size_t I = 0, class Body>
KEYSHARD_HD KEYSHARD_INLINE void with_member(std::size_t kind, const Body& body) {
  if constexpr (!is_family<Family>()) {
    body(Family{});
  } else if constexpr (I < std::variant_size_v<BagCombiner>) {
    if constexpr (std::is_same_v<Family, CombinerFamily<I>>) {
      if (kind == I) {
        return body(std::variant_alternative_t<I, BagCombiner>{});
      }
    }
    with_member<Family, I + 1>(kind, body);
  }
}

/// Whether alternative `kind` of BagCombiner is of that family.
template <class Family>
KEYSHARD_HD KEYSHARD_INLINE bool in_family(std::size_t kind) {
  bool found = false;
  with_member<Family>(kind, [&](auto) { found = true; });
  return found;
}

/// Calls body(Family{}) with the family of alternative `kind`. Combiners of a family differ in what
/// they make of a state, so code that makes states is compiled once for all of them.
template <std::size_t I = 0, class Body>
KEYSHARD_HD KEYSHARD_INLINE void with_family(std::size_t kind, const Body& body) {
  if constexpr (I < std::variant_size_v<BagCombiner>) {
    using Family = CombinerFamily<I>;
    if constexpr (!family_came_before<I>()) {
      if (in_family<Family>(kind)) {
        return body(Family{});
      }
    }
    with_family<I + 1>(kind, body);
  }
}

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
