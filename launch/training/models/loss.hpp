// The losses of a model, per sample, from its one output y (the logit):
//   log_loss       max(y, 0) - y label + log(1 + exp(-|y|)), whose score is the sigmoid of y
//   squared_error  (y - label)^2, whose score is y
// A sample's weight multiplies loss and gradient. The sum over a slice is sequential, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "launch/training/models/slice_group.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

enum class Loss { log_loss, squared_error };

KEYSHARD_HD inline double sigmoid(double y) {
  const double e = std::exp(-std::abs(y));
  return y >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

/// The loss of one sample, without its weight.
KEYSHARD_HD inline double sample_loss(Loss loss, double logit, double label) {
  if (loss == Loss::squared_error) {
    return (logit - label) * (logit - label);
  }
  return std::max(logit, 0.0) - logit * label + std::log1p(std::exp(-std::abs(logit)));
}

/// The samples of a group with their logits, in memory of the device.
struct LossSamples {
  Loss loss = Loss::log_loss;
  const float* logits = nullptr;
  const float* labels = nullptr;
  const float* weights = nullptr;  ///< null: all 1

  KEYSHARD_HD double weight(std::int64_t i) const {
    return weights == nullptr ? 1.0 : static_cast<double>(weights[i]);
  }
};

/// sums[slice] = weight * loss summed over the samples of the slice in order, from 0.
struct SumLosses {
  LossSamples samples;
  SliceRuns runs;
  double* sums;

  KEYSHARD_HD void operator()(std::int64_t slice) const {
    const Range range = runs.samples_of(slice);
    double sum = 0;
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      sum += samples.weight(i) * sample_loss(samples.loss, static_cast<double>(samples.logits[i]),
                                             static_cast<double>(samples.labels[i]));
    }
    sums[slice] = sum;
  }
};

/// gradients[i] = weight * d loss / d logit / valid_samples, where `valid_samples` counts the
/// samples of the global batch. Nothing else in a step divides by the number of samples.
struct LossGradients {
  LossSamples samples;
  std::int64_t valid_samples;
  float* gradients;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const double y = static_cast<double>(samples.logits[i]);
    const double label = static_cast<double>(samples.labels[i]);
    const double slope =
        samples.loss == Loss::squared_error ? 2.0 * (y - label) : sigmoid(y) - label;
    gradients[i] =
        static_cast<float>(samples.weight(i) * slope / static_cast<double>(valid_samples));
  }
};

/// What a model predicts: scores[i] from logits[i]. Host memory.
void scores_of(Loss loss, Span<const float> logits, float* scores);

}  // namespace keyshard
