// The optimizer of the dense parameters on the chunk of them that a rank owns. It is a row
// optimizer on long rows: the same functors as for embeddings, on blocks of fixed size.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/rules/optimizers.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

class DenseOptimizer {
 public:
  /// For a chunk of `size` numbers. Throws Error{invalid_argument} for row-wise rules.
  DenseOptimizer(const Optimizer& optimizer, std::int64_t size);

  /// One step: weights [size], gradients [size].
  void step(Stream<Cpu>& stream, float learning_rate_scale, const float* gradients, float* weights);

  /// Names of the states, and the numbers of each [size].
  const std::vector<std::string>& names() const noexcept { return names_; }

  std::vector<std::vector<float>>& states() noexcept { return states_; }

  OptimizerClock& clock() noexcept { return clock_; }

 private:
  Optimizer optimizer_;
  OptimizerClock clock_;
  std::int64_t size_;
  std::vector<std::string> names_;
  std::vector<std::vector<float>> states_;
};

}  // namespace keyshard
