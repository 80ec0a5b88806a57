// The inputs of a model, and the check that a model can be made for them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/training/models/model_options.hpp"

namespace keyshard {

struct ModelShape {
  std::vector<std::string> features;      ///< names, for messages
  std::vector<std::int64_t> factor_dims;  ///< of each feature; empty for a model without factors
  std::int64_t dense_columns = 0;

  std::int64_t factor_columns() const;
};

/// Throws Error{invalid_argument} where the model of `options` cannot be made for `shape`: fm, mf,
/// deepfm and dlrm need at least one feature and the same dimension in all features, mf exactly two
/// features and no dense columns.
void require_fitting_shape(const ModelOptions& options, const ModelShape& shape);

}  // namespace keyshard
