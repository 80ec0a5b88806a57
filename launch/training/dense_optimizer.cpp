#include "launch/training/dense_optimizer.hpp"

#include <type_traits>

#include "launch/training/dense_block.hpp"
#include "runtime/error.hpp"

namespace keyshard {

DenseOptimizer::DenseOptimizer(const Optimizer& optimizer, std::int64_t size)
    : optimizer_(optimizer), clock_(optimizer), size_(size) {
  require(!std::holds_alternative<RowwiseAdagrad>(optimizer), Kind::invalid_argument,
          "expected an optimizer of single numbers for dense parameters: found rowwise_adagrad");
  for (const StateColumn& state : state_columns(optimizer, 1)) {
    names_.push_back(state.name);
    states_.emplace_back(static_cast<std::size_t>(size), state.initial);
  }
}

void DenseOptimizer::step(Stream<Cpu>& stream, float learning_rate_scale, const float* gradients,
                          float* weights) {
  const StepScalars scalars = clock_.tick(learning_rate_scale);
  std::visit(
      [&](const auto& rule) {
        StepDenseBlock<std::decay_t<decltype(rule)>> body{rule,      scalars, size_,
                                                          gradients, weights, {}};
        for (std::size_t s = 0; s < states_.size(); ++s) {
          body.states[s] = states_[s].data();
        }
        stream.threads().for_tasks((size_ + kDenseBlock - 1) / kDenseBlock,
                                   [&](std::int64_t block, int) { body(block); });
      },
      optimizer_);
}

}  // namespace keyshard
