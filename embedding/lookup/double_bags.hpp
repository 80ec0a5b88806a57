// Bags and gradients of rows of doubles: what float rows have in bag_functors.hpp,
// gradient_functors.hpp and fold_functors.hpp, computed in double, by launches of their own that
// other lookups do not make. One functor for all combiners, in a source of its own: nothing is
// compiled for speed.
#pragma once

#include <cstdint>
#include <limits>

#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/fold_functors.hpp"
#include "embedding/lookup/gradient_functors.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// Where a feature delivers what was made of doubles: as doubles, or as floats.
struct DeliveredDoubles {
  float* at;
  bool narrow;

  struct Place {
    float* at;
    bool narrow;

    KEYSHARD_HD void operator=(double value) const {
      if (narrow) {
        *at = static_cast<float>(value);
      } else {
        *numbers_at<double>(at) = value;
      }
    }
  };

  KEYSHARD_HD Place operator[](std::int64_t d) const {
    return {at + (narrow ? d : floats_of(ValueDtype::float64, d)), narrow};
  }
};

/// Pools bag i of a batch where it reads doubles.
struct PoolDoubleBags {
  PoolBags of_floats;  ///< the same bags; it leaves out those of doubles
  const WeightOfBag<double>* bag_weights;

  std::int64_t work() const { return of_floats.work() * 2; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t bag, const Team& team) const;

 private:
  template <class C, class Team>
  KEYSHARD_HD void pool(std::int64_t bag, const FeatureGroup& group, const DeliveredDoubles& out,
                        const Team& team) const;
};

/// What an empty bag of doubles gives, where one of floats gives `empty`: the largest float becomes
/// the largest double.
KEYSHARD_HD inline double double_empty(float empty) {
  constexpr float kMost = std::numeric_limits<float>::max();
  constexpr double kDouble = std::numeric_limits<double>::max();
  return empty == kMost ? kDouble : empty == -kMost ? -kDouble : static_cast<double>(empty);
}

void pool_double_bags(Stream<Cpu>& stream, std::int64_t bags, const PoolDoubleBags& pool);

/// Sums the gradients of the distinct keys of the tables of doubles; the blocks of others are
/// marked `without`.
void sum_double_keys(Stream<Cpu>& stream, Span<const std::int64_t> blocks,
                     const SumKeys<double>& sums);

/// Folds what all ranks sent for the keys of the tables of doubles.
void fold_double_keys(Stream<Cpu>& stream, Span<const std::int64_t> starts,
                      const FoldKeys<double>& folds);

}  // namespace keyshard
