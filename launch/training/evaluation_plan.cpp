#include "launch/training/evaluation_plan.hpp"

#include <algorithm>

namespace keyshard {

DataOptions with_names_of_values(DataOptions data, const MetricsOptions& metrics) {
  const bool has_text =
      data.format == DataFormat::text &&
      std::any_of(data.columns.begin(), data.columns.end(), [&](const ColumnOptions& column) {
        return column.name == metrics.by && column.has_ids();
      });
  if (has_text) {
    data.keep = {metrics.by};
  }
  return data;
}

}  // namespace keyshard
