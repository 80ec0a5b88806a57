// Options of the layers that a configuration has in another place, or has no use of: each is
// refused with what to write instead.
#pragma once

#include <string>
#include <vector>

#include "runtime/settings.hpp"

namespace keyshard {

/// Records a problem for each of the keys that stands in a table of a configuration which has no
/// use of it; `instead` says what is expected.
void refuse_here(Settings& settings, const std::vector<std::string>& keys, const char* instead);

/// Keys of [embedding], [tables.NAME] and their column groups.
void refuse_in_table(Settings& settings);

/// Keys of a whole row, in the table of one of its column groups.
void refuse_in_group(Settings& settings);

/// Keys of a column of ids.
void refuse_in_column(Settings& settings);

}  // namespace keyshard
