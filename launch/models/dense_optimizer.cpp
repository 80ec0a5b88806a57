#include "launch/models/dense_optimizer.hpp"

#include <algorithm>

#include "runtime/error.hpp"
#include "runtime/team.hpp"

namespace keyshard {

DenseOptimizer::DenseOptimizer(const Optimizer& optimizer, float l2, const Parameters& layout,
                               Range chunk)
    : optimizer_(optimizer),
      l2_(l2),
      layout_(layout),
      chunk_(chunk),
      columns_(state_columns(optimizer, 1)),
      clock_(optimizer) {
  require(!std::holds_alternative<RowwiseAdagrad>(optimizer), Kind::invalid_argument,
          "expected an optimizer of every number for the dense parameters: found rowwise_adagrad");
  states_.resize(columns_.size() * static_cast<std::size_t>(chunk.size()));
  for (std::int64_t b = 0; b < blocks(); ++b) {
    const Range block = block_range(b);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      std::fill_n(states_.begin() + state_offset(static_cast<int>(c), block), block.size(),
                  columns_[c].initial);
    }
  }
}

Range DenseOptimizer::block_range(std::int64_t block) const {
  return {block * kBlock, std::min((block + 1) * kBlock, chunk_.size())};
}

std::int64_t DenseOptimizer::state_offset(int column, Range block) const {
  return block.begin * static_cast<std::int64_t>(columns_.size()) + column * block.size();
}

void DenseOptimizer::shrink(Range block, float* gradient, const float* parameters) const {
  for (const Parameter& parameter : layout_.all()) {
    const std::int64_t begin = std::max(block.begin, parameter.offset - chunk_.begin);
    const std::int64_t end =
        std::min(block.end, parameter.offset + parameter.size() - chunk_.begin);
    for (std::int64_t i = begin; i < end && parameter.shrinks(); ++i) {
      gradient[i] += l2_ * parameters[chunk_.begin + i];
    }
  }
}

void DenseOptimizer::step(Stream<Cpu>& stream, float* gradient, float learning_rate_scale,
                          float* parameters) {
  const StepScalars scalars = clock_.tick(learning_rate_scale);
  stream.threads().for_tasks(blocks(), [&](std::int64_t task, int) {
    const Range block = block_range(task);
    if (l2_ > 0) {
      shrink(block, gradient, parameters);
    }
    std::visit(
        [&](const auto& rule) {
          rule.update(Solo{}, parameters + chunk_.begin + block.begin,
                      states_.data() + state_offset(0, block), gradient + block.begin, block.size(),
                      scalars);
        },
        optimizer_);
  });
}

void DenseOptimizer::read_state(int column, float* vector) const {
  for (std::int64_t b = 0; b < blocks(); ++b) {
    const Range block = block_range(b);
    std::copy_n(states_.begin() + state_offset(column, block), block.size(),
                vector + chunk_.begin + block.begin);
  }
}

void DenseOptimizer::write_state(int column, const float* vector) {
  for (std::int64_t b = 0; b < blocks(); ++b) {
    const Range block = block_range(b);
    std::copy_n(vector + chunk_.begin + block.begin, block.size(),
                states_.begin() + state_offset(column, block));
  }
}

}  // namespace keyshard
