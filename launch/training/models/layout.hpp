// What a model is built into, layer by layer: the layout of its parameters and its running
// statistics.
#pragma once

#include "launch/training/models/parameters.hpp"

namespace keyshard {

struct ModelLayout {
  Parameters parameters;
  Parameters statistics;  ///< running, of each batch norm: mean<suffix>, variance<suffix>
  int layers = 0;         ///< dense layers so far; their numbers enter the hash of dropout
};

}  // namespace keyshard
