// Runs a model on one slice for the tests: owns inputs and results, and finds them by name.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "launch/training/models/model.hpp"

namespace keyshard::testing {

/// The columns of one slice, with their values.
struct SliceData {
  ModelShape shape;
  std::int64_t samples = 0;
  std::vector<float> factors;
  std::vector<float> linear;
  std::vector<float> dense;
  std::vector<float> labels;
  std::vector<float> weights;
  std::vector<std::int64_t> numbers;

  SliceInput input() const {
    SliceInput result;
    result.factors = view(factors.data(), shape.factor_columns());
    result.linear = view(linear.data(), static_cast<std::int64_t>(shape.features.size()));
    result.dense = view(dense.data(), shape.dense_columns);
    result.labels = labels;
    result.weights = weights;
    result.sample_numbers = numbers;
    return result;
  }

  template <class T>
  MatrixView<T> view(T* values, std::int64_t cols) const {
    return {values, samples, cols, cols};
  }
};

/// What a slice gave. Unwritten places hold NaN.
struct SliceRun {
  SliceResult result;
  std::vector<float> logits;
  std::vector<float> factors;
  std::vector<float> linear;
  std::vector<float> dense;
  std::vector<float> parameters;
  std::vector<float> batch_statistics;
};

inline SliceRun run_slice(const Model& model, const SliceData& data,
                          const std::vector<float>& parameters, const StepContext& context,
                          Workspace& workspace) {
  const float unwritten = std::numeric_limits<float>::quiet_NaN();
  SliceRun run;
  run.logits.assign(static_cast<std::size_t>(data.samples), unwritten);
  run.factors.assign(data.factors.size(), unwritten);
  run.linear.assign(data.linear.size(), unwritten);
  run.dense.assign(data.dense.size(), unwritten);
  run.parameters.assign(parameters.size(), unwritten);
  run.batch_statistics.assign(model.statistics().size(), unwritten);

  SliceOutput output;
  output.logits = run.logits.data();
  output.factors = data.view(run.factors.data(), data.shape.factor_columns());
  output.linear =
      data.view(run.linear.data(), static_cast<std::int64_t>(data.shape.features.size()));
  output.dense = data.view(run.dense.data(), data.shape.dense_columns);
  output.parameters = run.parameters.data();
  output.batch_statistics = run.batch_statistics.data();
  run.result = model.forward_backward(data.input(), parameters.data(), context, workspace, output);
  return run;
}

}  // namespace keyshard::testing
