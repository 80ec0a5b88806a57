// Runs a model on slices for the tests: owns inputs and results, and finds them by name.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "launch/training/models/model.hpp"

namespace keyshard::testing {

/// The columns of the samples of one slice, or of several slices one after another.
struct SliceData {
  ModelShape shape;
  std::int64_t samples = 0;
  std::vector<float> factors;
  std::vector<float> linear;
  std::vector<float> dense;
  std::vector<float> labels;
  std::vector<float> weights;
  std::vector<std::int64_t> numbers;

  /// The input of a model, where `offsets` cuts the samples into slices.
  GroupInput input(const std::vector<std::int64_t>& offsets) const {
    GroupInput result;
    result.group = {{offsets.data(), static_cast<std::int64_t>(offsets.size()) - 1},
                    offsets.data()};
    result.factors = view(factors.data(), shape.factor_columns());
    result.linear = view(linear.data(), static_cast<std::int64_t>(shape.features.size()));
    result.dense = view(dense.data(), shape.dense_columns);
    result.labels = labels.data();
    result.weights = weights.empty() ? nullptr : weights.data();
    result.sample_numbers = numbers.data();
    return result;
  }

  template <class T>
  MatrixView<T> view(T* values, std::int64_t cols) const {
    return {values, samples, cols, cols};
  }
};

/// The results of slices, slice after slice. Unwritten places hold NaN.
struct SliceRun {
  std::vector<double> losses;
  std::vector<float> logits;
  std::vector<float> factors;
  std::vector<float> linear;
  std::vector<float> dense;
  std::vector<float> parameters;
  std::vector<float> batch_statistics;
};

/// Runs a model on slices as one group.
inline SliceRun run_slices(const Model<Cpu>& model, const SliceData& data,
                           const std::vector<std::int64_t>& offsets, const ModelNumbers& numbers,
                           const StepContext& context, Workspace<Cpu>& workspace) {
  const float unwritten = std::numeric_limits<float>::quiet_NaN();
  const std::size_t slices = offsets.size() - 1;
  SliceRun run;
  run.losses.assign(slices, std::numeric_limits<double>::quiet_NaN());
  run.logits.assign(static_cast<std::size_t>(data.samples), unwritten);
  run.factors.assign(data.factors.size(), unwritten);
  run.linear.assign(data.linear.size(), unwritten);
  run.dense.assign(data.dense.size(), unwritten);
  run.parameters.assign(slices * static_cast<std::size_t>(model.parameters().size()), unwritten);
  run.batch_statistics.assign(slices * model.initial_statistics().size(), unwritten);

  GroupOutput output;
  output.logits = run.logits.data();
  output.factors = data.view(run.factors.data(), data.shape.factor_columns());
  output.linear =
      data.view(run.linear.data(), static_cast<std::int64_t>(data.shape.features.size()));
  output.dense = data.view(run.dense.data(), data.shape.dense_columns);
  output.parameters = run.parameters.data();
  output.batch_statistics = run.batch_statistics.data();
  output.losses = run.losses.data();
  Serial queue;
  model.forward_backward(queue, workspace, numbers, context, data.input(offsets), output);
  return run;
}

/// The same on one slice.
inline SliceRun run_slice(const Model<Cpu>& model, const SliceData& data,
                          const ModelNumbers& numbers, const StepContext& context,
                          Workspace<Cpu>& workspace) {
  return run_slices(model, data, {0, data.samples}, numbers, context, workspace);
}

}  // namespace keyshard::testing
