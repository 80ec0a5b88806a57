// What a model is built into, layer by layer: the layout of its parameters and its running
// statistics.
#pragma once

#include <vector>

#include "launch/training/models/parameters.hpp"

namespace keyshard {

struct ModelLayout {
  Parameters parameters;
  std::vector<float> statistics;  ///< of each batch norm: means [units], variances [units]
  int layers = 0;                 ///< dense layers so far; their numbers enter the hash of dropout
};

}  // namespace keyshard
