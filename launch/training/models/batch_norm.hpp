// Batch normalisation over the samples of one slice: y = gamma (z - mean) / sqrt(variance +
// epsilon) + beta, variance biased. A slice of under 8 samples, and evaluation, use the running
// statistics instead. Those move once a step: running = momentum running + (1 - momentum) mean over
// slices.
// Source: Ioffe, Szegedy, Batch normalization, ICML 2015.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "launch/training/models/layout.hpp"
#include "launch/training/models/pass.hpp"

namespace keyshard {

/// What `backward` needs.
struct BatchNormTrace {
  MatrixView<float> normalized;           ///< (z - mean) / sqrt(variance + epsilon)
  const float* inverse_spread = nullptr;  ///< 1 / sqrt(variance + epsilon) [units]
  bool of_slice = false;  ///< the slice's own statistics, through which gradients flow
};

class BatchNorm {
 public:
  /// Slices with fewer samples have no statistics of their own.
  static constexpr std::int64_t kLeastSamples = 8;

  /// Adds gamma<suffix>, beta<suffix> and the running statistics of `units` units to `layout`.
  BatchNorm(const std::string& suffix, std::int64_t units, ModelLayout& layout);

  /// z [n x units] -> y in place.
  BatchNormTrace forward(const Pass& pass, MatrixView<float> z) const;

  /// d loss / d y -> d loss / d z in place; writes the gradients of gamma and beta.
  void backward(const Pass& pass, const BatchNormTrace& trace, MatrixView<float> gradient) const;

 private:
  void take_statistics(MatrixView<const float> z, float* statistics) const;

  static constexpr float kEpsilon = 1e-5f;

  std::int64_t units_;
  std::size_t statistics_;  // place of the means; the variances follow
  int gamma_;
  int beta_;
};

}  // namespace keyshard
