// Metrics of an evaluation over all ranks: the same bits on any number of ranks. Sums are taken per
// slice, sample after sample over all batches, and folded over slices at the end; AUC is exact.
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/communicator.hpp"
#include "launch/training/models/auc.hpp"
#include "launch/training/models/metric_sums.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// Predictions of some samples of one slice, in order; borrowed.
struct Predictions {
  Span<const float> logits;
  Span<const float> scores;  ///< of `scores_of`
  Span<const float> labels;
  Span<const float> weights;        ///< empty: all 1
  Span<const GroupId> groups = {};  ///< of GAUC; empty: it is not asked for
  Span<const GroupId> values = {};  ///< of the column by whose values metrics are shown; or empty

  float weight(std::int64_t i) const { return weights.empty() ? 1.0f : weights[i]; }

  /// Adds sample i to sums.
  void add_to(MetricSums& sums, Loss loss, std::int64_t i) const {
    sums.add(loss, static_cast<double>(logits[i]), static_cast<double>(scores[i]),
             static_cast<double>(labels[i]), static_cast<double>(weight(i)));
  }

  RankedSample ranked(std::int64_t i) const {
    return RankedSample::of(logits[i], static_cast<double>(labels[i]) > 0.5, weight(i));
  }
};

class MetricsAccumulator {
 public:
  /// For the slices `run` of `slices`, those of this rank.
  MetricsAccumulator(Loss loss, std::int64_t slices, Range run);

  /// Adds samples of one slice of the run. Calls for different slices may run at the same time.
  /// Either all calls on all ranks have groups, or none.
  void add(std::int64_t slice, const Predictions& predictions);

  /// The metrics of everything that was added on any rank, on every rank; the accumulator is empty
  /// again. With `grouped`, the same on all ranks, GAUC is one of the metrics. Collective.
  Metrics result(Communicator<Cpu>& communicator, Stream<Cpu>& stream, bool grouped = false);

 private:
  struct SliceSums {
    MetricSums sums;
    std::vector<RankedSample> ranked;
    std::vector<GroupedSample> grouped;
  };

  MetricSums fold(Communicator<Cpu>& communicator) const;

  template <class T>
  std::vector<T> joined(std::vector<T> SliceSums::*of_slice);

  Loss loss_;
  std::int64_t slices_;
  Range run_;
  std::vector<SliceSums> sums_;  // [run_.size()]
};

}  // namespace keyshard
