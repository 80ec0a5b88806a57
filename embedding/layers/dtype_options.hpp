// The types of keys, rows and outputs in a configuration, with the checks of a layer.
#pragma once

#include <string>

#include "embedding/rows/value_dtype.hpp"

namespace keyshard {

class Settings;

/// The types of a table and of the features that read it.
struct DtypeOptions {
  std::string value_dtype = "float32";
  std::string dtype_policy;  ///< "": that of value_dtype
  ValueDtype rows = ValueDtype::float32;
  ValueDtype outputs = ValueDtype::float32;
};

/// Reads `value_dtype` and `dtype_policy`; what is not given stays as it is. `trainable` is that of
/// the table. A problem is recorded in `settings`.
void read_dtypes(Settings& settings, bool trainable, DtypeOptions& dtypes);

/// Reads `key_dtype`, which decides nothing: ids of data have 64 bits. A problem is recorded in
/// `settings`.
void read_key_dtype(Settings& settings);

}  // namespace keyshard
