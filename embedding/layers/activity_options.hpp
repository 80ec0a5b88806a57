// What an option or a configuration says of the regularizer of outputs.
#pragma once

#include <string>

#include "runtime/settings.hpp"

namespace keyshard {

/// A regularizer of outputs: l1 |y| + l2 y^2, added over all outputs y, or a function of the
/// program.
struct ActivityOptions {
  double l1 = 0;
  double l2 = 0;
  std::string function;  ///< a registered name (user_functions.hpp), instead of `l1` and `l2`

  bool operator==(const ActivityOptions&) const = default;
};

/// Reads the table `activity_regularizer`: a `type` of l1, l2, l1_l2, or with `functions` also
/// function; then l1 and l2 (0.01 by default, as in Keras), or the name of the function.
ActivityOptions read_activity(Settings& settings, bool functions);

/// What read_activity reads.
SettingValue activity_tree(const ActivityOptions& activity);

}  // namespace keyshard
