// The exact area under the ROC curve over the samples of all ranks: the weighted share of pairs
// (positive, negative) in which the positive one has the larger logit, ties counting one half.
// Everything is counted in integers of 128 bits, so that neither the number of ranks nor the order
// of samples matters.
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/communicator.hpp"

namespace keyshard {

/// A sample as AUC sees it.
struct RankedSample {
  std::uint32_t key = 0;  ///< ascending with the logit
  float weight = 0;       ///< negative for a sample of the negative class

  /// +0 and -0 are one logit.
  static RankedSample of(float logit, bool positive, float weight);
};

/// The AUC of the samples of all ranks, on every rank; NaN where one class has no weight. Weights
/// are taken as integer multiples of a power of two, 31 bits below the largest for 2^30
/// samples. `samples` of this rank come back in another order. Collective; the ranks share the
/// sorting by value.
double area_under_curve(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                        std::vector<RankedSample>& samples);

/// The AUC of samples that are all on this rank, ascending by key; NaN where one class has no
/// weight. Not collective.
double area_under_curve(Span<const RankedSample> sorted);

}  // namespace keyshard
