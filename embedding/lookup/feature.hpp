// What a lookup is told of a feature: the table it reads and how its bags are pooled.
#pragma once

#include <string>
#include <vector>

#include "embedding/rows/value_dtype.hpp"
#include "embedding/rules/combiners.hpp"

namespace keyshard {

/// What a bag with no ids gives: zeros, or what TensorFlow reduces an empty list to. Either way the
/// bag has no gradient.
enum class EmptyBag { zeros, tf };

/// The names in files, in the order of the enumeration.
const std::vector<std::string>& names_of(EmptyBag);

/// A feature (a column of ids) and the table it reads, with a combiner per column group of that
/// table.
struct FeatureOptions {
  std::string name;
  int table = 0;
  std::vector<AnyCombiner> combiners;
  bool weighted = false;  ///< every id has a weight; combiners are sum, mean or sqrtn
  bool trainable = true;  ///< false, as in a table that is not trainable: backward changes nothing
  EmptyBag empty_bag = EmptyBag::zeros;
  /// What outputs and upstream gradients are rounded to; they stand in arrays of floats all the
  /// same.
  ValueDtype compute_dtype = ValueDtype::float32;
};

}  // namespace keyshard
