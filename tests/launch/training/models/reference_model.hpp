// The models in double, forward only, written from their formulas sample by sample. Central
// differences of these models are the expected gradients. The reference shares only one thing with
// the library: which units dropout keeps.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "launch/training/models/model.hpp"

namespace keyshard::testing {

using Numbers = std::vector<double>;

struct ReferenceModel {
  ModelOptions options;
  ModelShape shape;
  StepContext context;
  std::map<std::string, Numbers> parameters;  // row-major
  Numbers running;  // statistics of all batch norms, as the model has them

  // The slice.
  std::int64_t samples = 0;
  Numbers factors;
  Numbers linear;
  Numbers dense;
  Numbers labels;
  Numbers weights;
  std::vector<std::int64_t> numbers;

  bool training = true;

  std::vector<double> logits() const;

  /// The sum of weight * loss over the slice, divided by the valid samples.
  double loss() const;
};

/// Expects numbers within `tolerance` (|ref| + max(1, max |ref|)) of their reference.
void expect_close(const std::vector<float>& found, const Numbers& expected, double tolerance,
                  const std::string& what);

}  // namespace keyshard::testing
