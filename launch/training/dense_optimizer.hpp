// The optimizer of the dense parameters, on the chunk of parameters that a rank owns. It is a row
// optimizer on long rows: the same functors as for embeddings, on blocks of fixed size.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/rules/optimizers.hpp"
#include "runtime/buffer.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

template <Backend B>
class DenseOptimizer {
 public:
  /// For a chunk of `size` numbers; the states lie in memory of `stream`. Throws
  /// Error{invalid_argument} for an optimizer that needs whole rows.
  DenseOptimizer(Stream<B>& stream, const Optimizer& optimizer, std::int64_t size);

  /// One step: weights [size], gradients [size], in memory of the device. Ordered on `stream`.
  void step(Stream<B>& stream, float learning_rate_scale, const float* gradients, float* weights);

  /// Names of the states.
  const std::vector<std::string>& names() const noexcept { return names_; }

  /// The numbers of each state [size], on the host. Waits.
  std::vector<std::vector<float>> states(Stream<B>& stream) const;

  /// Sets the states to those of a checkpoint, in the form of `states`.
  void restore(Stream<B>& stream, const std::vector<std::vector<float>>& states);

  OptimizerClock& clock() noexcept { return clock_; }

 private:
  Optimizer optimizer_;
  OptimizerClock clock_;
  std::int64_t size_;
  std::vector<std::string> names_;
  Buffer<float, B> states_;  // [size x states], block by block (dense_block.hpp)
};

}  // namespace keyshard
