// The losses of a model, per sample, from its one output y (the logit):
//   log_loss       max(y, 0) - y label + log(1 + exp(-|y|)), whose score is the sigmoid of y
//   squared_error  (y - label)^2, whose score is y
// A sample's weight multiplies loss and gradient. The sum over a slice is sequential, in double.
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

enum class Loss { log_loss, squared_error };

/// The loss of one sample, without its weight.
double sample_loss(Loss loss, double logit, double label);

/// Sum of weight * loss over samples in order, from 0. `weights` may be empty: all 1.
double loss_sum(Loss loss, Span<const float> logits, Span<const float> labels,
                Span<const float> weights);

/// gradients[i] = weight * d loss / d logit / valid_samples, where `valid_samples` counts the
/// samples of the global batch: the one division of a step.
void loss_gradients(Loss loss, Span<const float> logits, Span<const float> labels,
                    Span<const float> weights, std::int64_t valid_samples, float* gradients);

/// What a model predicts: scores[i] from logits[i].
void scores_of(Loss loss, Span<const float> logits, float* scores);

}  // namespace keyshard
