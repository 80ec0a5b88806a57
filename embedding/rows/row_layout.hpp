// Where the parts of a row lie: values of all column groups, padded to whole floats, then the
// optimizer state of each group, as floats, or as doubles where the values are doubles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/rows/table_options.hpp"

namespace keyshard {

struct RowLayout {
  struct Group {
    std::int64_t dim;
    std::int64_t value_offset;  ///< in values from the start of the row
    std::int64_t state_offset;  ///< in floats from the start of the row
    std::vector<StateColumn> states;
  };

  explicit RowLayout(const std::vector<GroupOptions>& groups,
                     ValueDtype dtype = ValueDtype::float32);

  std::vector<Group> groups;
  std::int64_t dim = 0;     ///< values of all groups
  std::int64_t width = 0;   ///< floats that these take while they are worked on
  std::int64_t floats = 0;  ///< values and states of all groups
  std::int64_t stride = 0;  ///< floats from one row to the next: a multiple of 4
};

/// A named part of every row, as a checkpoint and a digest see it.
struct RowColumn {
  std::string name;     ///< "values/GROUP", "state/GROUP/STATE" or "status/POLICY"
  std::int64_t offset;  ///< in numbers of this column from the start of the row
  std::int64_t width;
  ValueDtype dtype = ValueDtype::float32;
  bool is_status = false;  ///< the status of the row, an unsigned number of 32 bits
};

/// All columns of a table, in fixed order.
std::vector<RowColumn> row_columns(const TableOptions& options, const RowLayout& layout);

}  // namespace keyshard
