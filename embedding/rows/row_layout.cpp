#include "embedding/rows/row_layout.hpp"

namespace keyshard {

RowLayout::RowLayout(const std::vector<GroupOptions>& options, ValueDtype dtype) {
  for (const GroupOptions& group : options) {
    groups.push_back({group.dim, dim, 0, state_columns(group.optimizer, group.dim)});
    dim += group.dim;
  }
  constexpr std::int64_t kFloat = sizeof(float);
  width = floats_of(dtype, dim);
  std::int64_t end = (dim * value_bytes(dtype) + kFloat - 1) / kFloat;
  for (Group& group : groups) {
    group.state_offset = end;
    for (const StateColumn& state : group.states) {
      end += floats_of(state_dtype(dtype), state.width);
    }
  }
  floats = end;
  stride = (end + 3) / 4 * 4;
}

std::vector<RowColumn> row_columns(const TableOptions& options, const RowLayout& layout) {
  const std::vector<GroupOptions>& groups = options.groups;
  std::vector<RowColumn> columns;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    columns.push_back({"values/" + groups[g].name, layout.groups[g].value_offset,
                       layout.groups[g].dim, options.value_dtype});
  }
  const ValueDtype states = state_dtype(options.value_dtype);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    std::int64_t offset = layout.groups[g].state_offset / floats_of(states, 1);
    for (const StateColumn& state : layout.groups[g].states) {
      columns.push_back(
          {"state/" + groups[g].name + "/" + state.name, offset, state.width, states});
      offset += state.width;
    }
  }
  if (has_status(options.restrict_policy)) {
    columns.push_back({std::string("status/") + name_of(options.restrict_policy), 0, 1,
                       ValueDtype::float32, /*is_status=*/true});
  }
  return columns;
}

}  // namespace keyshard
