// What the metrics of some samples are made of: sums over the samples, and the metrics that follow
// from the sums.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "launch/training/models/group_auc.hpp"
#include "launch/training/models/loss.hpp"

namespace keyshard {

/// Weighted means over all samples; NaN where the sum of weights is 0.
struct Metrics {
  std::int64_t samples = 0;
  double loss = 0;        ///< log loss or squared error, of the logits
  double rmse = 0;        ///< of the scores
  double mae = 0;         ///< of the scores
  double mean_score = 0;  ///< beside mean_label: whether the model is calibrated
  double mean_label = 0;
  double auc = 0;  ///< of the logits, with labels above 1/2 positive; NaN with squared error
  /// Log loss / -(p log p + (1 - p) log(1 - p)), where p = mean_label: 1 for a model that always
  /// predicts p. NaN with squared error and where p is 0 or 1.
  /// Source: He et al., Practical lessons from predicting clicks on ads at Facebook, ADKDD 2014.
  double normalized_entropy = 0;
  double calibration = 0;  ///< mean_score / mean_label; NaN where mean_label is 0
  GroupAuc gauc;           ///< of the groups of a column; NaN where none was asked for
};

/// Sums over the samples of one slice, or of several.
struct MetricSums {
  enum Sum : std::size_t { weight, loss, squared_error, absolute_error, score, label };

  static constexpr std::size_t kSums = 6;

  std::int64_t samples = 0;
  std::array<double, kSums> sums{};

  /// Adds a sample. `weighted` is its weight.
  void add(Loss loss, double logit, double score, double label, double weighted);

  /// The metrics but auc and gauc.
  Metrics means(Loss loss) const;
};

}  // namespace keyshard
