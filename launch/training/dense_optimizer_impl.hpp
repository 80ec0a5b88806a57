// The bodies of DenseOptimizer, for any device.
#pragma once

#include <algorithm>
#include <type_traits>

#include "launch/training/dense_block.hpp"
#include "launch/training/dense_optimizer.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

template <Backend B>
DenseOptimizer<B>::DenseOptimizer(Stream<B>& stream, const Optimizer& optimizer, std::int64_t size)
    : optimizer_(optimizer), clock_(optimizer), size_(size) {
  require(!needs_whole_row(optimizer), Kind::invalid_argument,
          "expected an optimizer of single numbers for dense parameters: found {}",
          name_of(optimizer));
  std::vector<std::vector<float>> initial;
  for (const StateColumn& state : state_columns(optimizer, 1)) {
    names_.push_back(state.name);
    initial.emplace_back(static_cast<std::size_t>(size), static_cast<float>(state.initial));
  }
  restore(stream, initial);
}

template <Backend B>
void DenseOptimizer<B>::step(Stream<B>& stream, float learning_rate_scale, const float* gradients,
                             float* weights) {
  const StepScalars scalars = clock_.tick(learning_rate_scale);
  const DenseBlocks blocks{size_};
  std::visit(
      [&](const auto& rule) {
        for_each_row(stream, blocks.count(),
                     StepDenseBlock<std::decay_t<decltype(rule)>>{
                         .rule = rule,
                         .scalars = scalars,
                         .blocks = blocks,
                         .gradients = gradients,
                         .weights = weights,
                         .states = states_.data(),
                         .num_states = static_cast<std::int64_t>(names_.size())});
      },
      optimizer_);
}

template <Backend B>
std::vector<std::vector<float>> DenseOptimizer<B>::states(Stream<B>& stream) const {
  const std::vector<float> all = to_host(stream, states_.span());
  const DenseBlocks blocks{size_};
  const auto count = static_cast<std::int64_t>(names_.size());
  std::vector<std::vector<float>> result(names_.size());
  for (std::int64_t state = 0; state < count; ++state) {
    std::vector<float>& to = result[static_cast<std::size_t>(state)];
    for (std::int64_t block = 0; block < blocks.count(); ++block) {
      const float* from = all.data() + blocks.place_of(block, state, count);
      to.insert(to.end(), from, from + blocks.numbers_of(block).size());
    }
  }
  return result;
}

template <Backend B>
void DenseOptimizer<B>::restore(Stream<B>& stream, const std::vector<std::vector<float>>& states) {
  const DenseBlocks blocks{size_};
  std::vector<float> all;
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    const Range numbers = blocks.numbers_of(block);
    for (const std::vector<float>& state : states) {
      all.insert(all.end(), state.begin() + numbers.begin, state.begin() + numbers.end);
    }
  }
  states_ = to_device(stream, Span<const float>(all));
}

}  // namespace keyshard
