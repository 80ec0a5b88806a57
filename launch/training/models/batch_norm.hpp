// Batch normalisation over the samples of one slice: y = gamma (z - mean) / sqrt(variance +
// epsilon) + beta, variance biased. A slice of under 8 samples, and evaluation, use the running
// statistics instead. Running statistics move once a step: running = momentum running +
// (1 - momentum) mean over slices.
// Source: Ioffe, Szegedy, Batch normalization, ICML 2015.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "launch/training/models/layout.hpp"
#include "launch/training/models/pass.hpp"

namespace keyshard {

/// The statistics that each slice of a group is normalised with: means [units], variances [units].
struct SliceStatistics {
  /// Slices with fewer samples have no statistics of their own.
  static constexpr std::int64_t kLeastSamples = 8;

  SliceRuns runs;
  const float* running = nullptr;
  SliceMatrices own;  ///< a row for each slice; null in evaluation

  KEYSHARD_HD bool has_own(std::int64_t slice) const {
    return own.first.data != nullptr && runs.samples_of(slice).size() >= kLeastSamples;
  }

  KEYSHARD_HD const float* of(std::int64_t slice) const {
    return has_own(slice) ? own.of(slice).data : running;
  }
};

/// What `backward` needs.
struct BatchNormTrace {
  MatrixView<float> normalized;      ///< (z - mean) / sqrt(variance + epsilon)
  MatrixView<float> inverse_spread;  ///< 1 / sqrt(variance + epsilon) [slices x units]
  SliceStatistics statistics;
};

template <Backend B>
class BatchNorm {
 public:
  /// Adds gamma<suffix>, beta<suffix> and the running statistics of `units` units to `layout`.
  BatchNorm(const std::string& suffix, std::int64_t units, ModelLayout& layout);

  /// z [n x units] -> y in place.
  BatchNormTrace forward(const Pass<B>& pass, MatrixView<float> z) const;

  /// d loss / d y -> d loss / d z in place; writes the gradients of gamma and beta.
  void backward(const Pass<B>& pass, const BatchNormTrace& trace, MatrixView<float> gradient) const;

 private:
  std::int64_t units_;
  std::int64_t statistics_;  // place of the means; the variances follow
  int gamma_;
  int beta_;
};

}  // namespace keyshard
