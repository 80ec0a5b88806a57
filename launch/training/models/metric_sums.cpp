#include "launch/training/models/metric_sums.hpp"

#include <cmath>
#include <limits>

#include "runtime/portable_math.hpp"

namespace keyshard {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// The log loss of a model that always predicts the mean label.
double entropy(double mean_label) {
  const bool both = mean_label > 0 && mean_label < 1;
  return both ? -(mean_label * portable_log(mean_label) +
                  (1 - mean_label) * portable_log(1 - mean_label))
              : kUndefined;
}

}  // namespace

void MetricSums::add(Loss of_sample, double logit, double of_score, double of_label, double w) {
  ++samples;
  const double error = of_score - of_label;
  sums[weight] += w;
  sums[loss] += w * sample_loss(of_sample, logit, of_label);
  sums[squared_error] += w * error * error;
  sums[absolute_error] += w * std::abs(error);
  sums[score] += w * of_score;
  sums[label] += w * of_label;
}

Metrics MetricSums::means(Loss of_samples) const {
  const auto mean = [&](Sum sum) { return sums[sum] / sums[weight]; };
  Metrics metrics;
  metrics.samples = samples;
  metrics.loss = mean(loss);
  metrics.rmse = std::sqrt(mean(squared_error));
  metrics.mae = mean(absolute_error);
  metrics.mean_score = mean(score);
  metrics.mean_label = mean(label);
  metrics.auc = kUndefined;
  metrics.normalized_entropy =
      of_samples == Loss::log_loss ? metrics.loss / entropy(metrics.mean_label) : kUndefined;
  metrics.calibration =
      metrics.mean_label == 0 ? kUndefined : metrics.mean_score / metrics.mean_label;
  return metrics;
}

}  // namespace keyshard
