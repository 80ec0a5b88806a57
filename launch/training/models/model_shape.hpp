// What a model is fed with, and whether it can be.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/training/models/model_options.hpp"

namespace keyshard {

struct ModelShape {
  std::vector<std::string> features;      ///< names, for messages
  std::vector<std::int64_t> factor_dims;  ///< of each feature; empty where no factors are wanted
  std::int64_t dense_columns = 0;

  std::int64_t factor_columns() const;
};

/// Throws Error{invalid_argument} naming the features where the model of `options` cannot be made
/// of them: fm, mf, deepfm and dlrm need features of one dimension, mf exactly two features and no
/// dense columns.
void require_fitting_shape(const ModelOptions& options, const ModelShape& shape);

}  // namespace keyshard
