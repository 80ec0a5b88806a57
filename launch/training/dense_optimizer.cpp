#include "launch/training/dense_optimizer.hpp"

#include <algorithm>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kBlock = 1024;

}  // namespace

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
  stream.threads().for_tasks((size_ + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
    const std::int64_t begin = block * kBlock, n = std::min(kBlock, size_ - begin);
    // A row has its states one after another.
    float row_states[2 * kBlock];
    for (std::size_t s = 0; s < states_.size(); ++s) {
      std::copy_n(states_[s].data() + begin, n, row_states + static_cast<std::int64_t>(s) * n);
    }
    std::visit(
        [&](const auto& rule) {
          rule.update(Solo{}, weights + begin, row_states, gradients + begin, n, scalars);
        },
        optimizer_);
    for (std::size_t s = 0; s < states_.size(); ++s) {
      std::copy_n(row_states + static_cast<std::int64_t>(s) * n, n, states_[s].data() + begin);
    }
  });
}

}  // namespace keyshard
