// A dense model of a golden case: the model of the library with the parameters of the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "launch/training/models/model.hpp"
#include "tests/golden/report.hpp"
#include "tests/launch/training/models/model_run.hpp"
#include "tests/support/golden_file.hpp"

namespace keyshard::testing {

struct ModelCase {
  ModelOptions options;
  std::unique_ptr<Model<Cpu>> model;
  std::vector<float> parameters;  ///< [model->parameters().size()]
  SliceData data;                 ///< shape alone; the columns are empty

  /// Golden models have no batch norm, so no statistics.
  ModelNumbers numbers() const { return {parameters.data(), nullptr}; }
};

/// Makes the model of that name, with layer widths from the parameters. Throws Error{not_built}
/// where the library has no model of that name.
ModelCase model_case(const std::string& name, const GoldenValue& parameters, std::int64_t features,
                     std::int64_t dim, std::int64_t dense_columns);

/// Compares a flat vector of numbers, one for each parameter, with those of the file by name,
/// within tolerance (|ref| + max(1, max |ref|)).
void compare_parameters(const std::string& what, const Parameters& parameters,
                        const std::vector<float>& found, const GoldenValue& expected,
                        double tolerance, GoldenCase& one);

}  // namespace keyshard::testing
