#include "launch/training/models/loss.hpp"

#include <algorithm>
#include <cmath>

namespace keyshard {
namespace {

double sigmoid(double y) {
  const double e = std::exp(-std::abs(y));
  return y >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

double weight_of(Span<const float> weights, std::size_t i) {
  return weights.empty() ? 1.0 : static_cast<double>(weights[i]);
}

}  // namespace

double sample_loss(Loss loss, double logit, double label) {
  if (loss == Loss::squared_error) {
    return (logit - label) * (logit - label);
  }
  return std::max(logit, 0.0) - logit * label + std::log1p(std::exp(-std::abs(logit)));
}

double loss_sum(Loss loss, Span<const float> logits, Span<const float> labels,
                Span<const float> weights) {
  double sum = 0;
  for (std::int64_t i = 0; i < logits.size(); ++i) {
    sum += weight_of(weights, i) *
           sample_loss(loss, static_cast<double>(logits[i]), static_cast<double>(labels[i]));
  }
  return sum;
}

void loss_gradients(Loss loss, Span<const float> logits, Span<const float> labels,
                    Span<const float> weights, std::int64_t valid_samples, float* gradients) {
  for (std::int64_t i = 0; i < logits.size(); ++i) {
    const double y = static_cast<double>(logits[i]);
    const double label = static_cast<double>(labels[i]);
    const double slope = loss == Loss::squared_error ? 2.0 * (y - label) : sigmoid(y) - label;
    gradients[i] =
        static_cast<float>(weight_of(weights, i) * slope / static_cast<double>(valid_samples));
  }
}

void scores_of(Loss loss, Span<const float> logits, float* scores) {
  for (std::int64_t i = 0; i < logits.size(); ++i) {
    scores[i] = loss == Loss::squared_error
                    ? logits[i]
                    : static_cast<float>(sigmoid(static_cast<double>(logits[i])));
  }
}

}  // namespace keyshard
