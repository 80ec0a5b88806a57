// What a lookup is told of a feature: the table it reads and how its bags are pooled.
#pragma once

#include <string>
#include <vector>

#include "embedding/rules/combiners.hpp"

namespace keyshard {

/// A feature (a column of ids) and the table it reads, with a combiner per column group of that
/// table.
struct FeatureOptions {
  std::string name;
  int table = 0;
  std::vector<Combiner> combiners;
  bool weighted = false;  ///< every id has a weight; combiners are sum, mean or sqrtn
};

}  // namespace keyshard
