// Metrics of an evaluation over all ranks: the same bits on any number of ranks. Sums are taken per
// slice, sample after sample over all batches, and folded over slices at the end; AUC is exact.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "collectives/communicator.hpp"
#include "launch/training/models/auc.hpp"
#include "launch/training/models/loss.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// Predictions of some samples of one slice, in order; borrowed.
struct Predictions {
  Span<const float> logits;
  Span<const float> scores;  ///< of `scores_of`
  Span<const float> labels;
  Span<const float> weights;  ///< empty: all 1
};

/// Weighted means over all samples; NaN where the sum of weights is 0.
struct Metrics {
  std::int64_t samples = 0;
  double loss = 0;        ///< log loss or squared error, of the logits
  double rmse = 0;        ///< of the scores
  double mae = 0;         ///< of the scores
  double mean_score = 0;  ///< beside mean_label: whether the model is calibrated
  double mean_label = 0;
  double auc = 0;  ///< of the logits, with labels above 1/2 positive; NaN with squared error
};

/// Metrics of all samples of a split, and where asked for, of those whose ids are new
/// (unseen_ids.hpp).
struct SplitMetrics {
  Metrics all;
  std::optional<Metrics> unseen;
};

class MetricsAccumulator {
 public:
  /// For the slices `run` of `slices`, those of this rank.
  MetricsAccumulator(Loss loss, std::int64_t slices, Range run);

  /// Adds samples of one slice of the run. Calls for different slices may run at the same time.
  void add(std::int64_t slice, const Predictions& predictions);

  /// The metrics of everything that was added on any rank, on every rank; the accumulator is empty
  /// again. Collective.
  Metrics result(Communicator<Cpu>& communicator, Stream<Cpu>& stream);

 private:
  struct SliceSums {
    std::int64_t samples = 0;
    double weight = 0;
    double loss = 0;
    double squared_error = 0;
    double absolute_error = 0;
    double score = 0;
    double label = 0;
    std::vector<RankedSample> ranked;
  };

  double fold(Communicator<Cpu>& communicator, double SliceSums::*sum) const;
  double auc(Communicator<Cpu>& communicator, Stream<Cpu>& stream);

  Loss loss_;
  std::int64_t slices_;
  Range run_;
  std::vector<SliceSums> sums_;  // [run_.size()]
};

}  // namespace keyshard
