// The dtypes of the ids of layers. In tables every key has 64 bits: ids of 32 bits lie there as the
// 64-bit integer of the same value, strings as their fingerprints.
#pragma once

#include <string>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

/// The names of all of them: int64, uint64, int32, uint32, string.
const std::vector<std::string>& key_dtype_names();

/// Whether ids of that dtype have 32 bits.
bool is_narrow(const std::string& key_dtype);

/// Whether a key of a table can come from an id of that dtype.
bool holds_key(const std::string& key_dtype, Key key);

}  // namespace keyshard
