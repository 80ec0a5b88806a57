// The optimizer of the dense parameters on the chunk of the flat vector that a rank owns. It is an
// optimizer of rows whose row is long: the chunk is cut into blocks that threads take, which
// changes nothing, for every number is stepped by itself.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/optimizer.hpp"
#include "launch/models/parameters.hpp"
#include "runtime/runs.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

class DenseOptimizer {
 public:
  /// For the numbers `chunk` of the flat vector of `layout`, which must outlive this. l2 W is added
  /// to the gradient of every weight matrix. Throws Error{invalid_argument} for an optimizer that
  /// does not step every number by itself.
  DenseOptimizer(const Optimizer& optimizer, float l2, const Parameters& layout, Range chunk);

  /// One step of parameters[chunk.begin, chunk.end) of the flat vector. `gradient` [chunk.size()]
  /// is used up.
  void step(Stream<Cpu>& stream, float* gradient, float learning_rate_scale, float* parameters);

  /// The states, each with one number per parameter: column names and first values.
  const std::vector<StateColumn>& columns() const noexcept { return columns_; }

  /// Copies a state to or from vector[chunk.begin, chunk.end) of a flat vector.
  void read_state(int column, float* vector) const;
  void write_state(int column, const float* vector);

  OptimizerClock& clock() noexcept { return clock_; }

  const OptimizerClock& clock() const noexcept { return clock_; }

 private:
  static constexpr std::int64_t kBlock = 4096;

  std::int64_t blocks() const { return (chunk_.size() + kBlock - 1) / kBlock; }

  /// Numbers [begin, end) of the chunk in block `block`.
  Range block_range(std::int64_t block) const;
  /// The first number of a state of a block: its states lie one after another.
  std::int64_t state_offset(int column, Range block) const;
  void shrink(Range block, float* gradient, const float* parameters) const;

  Optimizer optimizer_;
  float l2_;
  const Parameters& layout_;
  Range chunk_;
  std::vector<StateColumn> columns_;
  std::vector<float> states_;
  OptimizerClock clock_;
};

}  // namespace keyshard
