// What the layers of a model share while they work on one group of slices: where parameters and
// statistics lie, where gradients go, and what dropout hashes. Borrowed for the length of one call.
// Parameters, gradients, statistics and sample numbers lie in memory of the device.
#pragma once

#include <cstdint>

#include "launch/training/models/parameters.hpp"
#include "launch/training/models/slice_group.hpp"
#include "launch/training/models/workspace.hpp"
#include "runtime/serial.hpp"

namespace keyshard {

/// What all slices of a step share.
struct StepContext {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  std::int64_t valid_samples = 0;  ///< of the global batch; the loss is divided by it
};

/// The numbers of a model, in memory of the device.
struct ModelNumbers {
  const float* parameters = nullptr;  ///< [Model::parameters().size()]
  const float* statistics = nullptr;  ///< [Model::statistics_size()], running
};

template <Backend B>
struct Pass {
  const Parameters& layout;
  TaskQueue<B>& queue;
  Workspace<B>& workspace;
  SliceGroup group;
  ModelNumbers numbers;
  float* gradients = nullptr;         ///< [slices x layout.size()], written; null in evaluation
  float* slice_statistics = nullptr;  ///< [slices x statistics_size], written; null in evaluation
  std::int64_t statistics_size = 0;
  StepContext context{};
  const std::int64_t* sample_numbers = nullptr;  ///< [samples of the group]

  bool training() const { return gradients != nullptr; }

  MatrixView<const float> parameter(int number) const {
    return layout[number].of(numbers.parameters);
  }

  SliceMatrices gradient(int number) const { return {layout[number].of(gradients), layout.size()}; }
};

}  // namespace keyshard
