// Where the columns of a configuration stand in a text: by their index, or by their name in a
// header. A message about a column that is not found shows what was found, and the option that
// would find it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/data_options.hpp"

namespace keyshard {

/// The cell of each column that is used (role other than ignore), in the order of the
/// configuration. `cells` are those of the header, none where there is none; `place` is its
/// "file:line". Throws Error{bad_input} where a column that has no index is not in the header
/// exactly once, or where the header ends before an index.
std::vector<std::size_t> cells_of_columns(const DataOptions& options,
                                          const std::vector<std::string_view>& cells,
                                          const std::string& place);

/// The cells of columns of these names, in the order of the names: by the index of the column in
/// the configuration, or else by the name in the header. Throws as cells_of_columns does.
std::vector<std::size_t> cells_of_names(const DataOptions& options,
                                        const std::vector<std::string>& names,
                                        const std::vector<std::string_view>& cells,
                                        const std::string& place);

/// Whether every column that is used has an index, so that no name ties it to a header.
bool all_by_index(const DataOptions& options);

}  // namespace keyshard
