// The fixed facts of a lookup: which feature reads which table, with which combiners, and where its
// columns lie.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/lookup/feature.hpp"
#include "embedding/rows/row_layout.hpp"
#include "embedding/rows/table_options.hpp"
#include "embedding/rules/combiners.hpp"
#include "embedding/rules/partitioners.hpp"

namespace keyshard {

/// One column group of one feature.
struct FeatureGroup {
  Combiner combiner;
  std::int64_t column;  ///< in the output of the group
  std::int64_t offset;  ///< in the values of a row
  std::int64_t dim;
  std::int64_t state_column;  ///< in the kept states, in floats; -1 where backward needs none
};

struct FeatureShape {
  int table;
  std::vector<FeatureGroup> groups;
  std::int64_t state_floats;  ///< of one partial state of a bag, all groups
  std::int64_t back_floats;   ///< of the backward message of a bag, all groups
};

struct LookupShape {
  std::vector<FeatureShape> features;
  std::vector<Partitioner> partitioners;              ///< of each table
  std::vector<std::int64_t> dims;                     ///< of each table
  std::vector<std::vector<std::int64_t>> table_dims;  ///< of each group of each table
  std::vector<bool> shard_order;                      ///< of each table: pooled by shard
  std::vector<ExchangeMode> modes;                    ///< of each table
  std::vector<std::int64_t> widths;                   ///< of each group's output
  std::int64_t kept_floats = 0;                       ///< states a sample keeps for backward
  bool counts_occurrences = false;                    ///< a table has L2 per occurrence
  std::int64_t ranks = 1;
  std::vector<std::uint16_t> node_of_shard;  ///< [kShards] first shard of the maximal node, in its
                                             ///< owner's run, that holds it

  std::int64_t tables() const { return static_cast<std::int64_t>(dims.size()); }

  std::int64_t num_features() const { return static_cast<std::int64_t>(features.size()); }
};

/// Throws Error{invalid_argument} where a feature does not fit its table.
LookupShape make_lookup_shape(const std::vector<const TableOptions*>& tables,
                              const std::vector<FeatureOptions>& features, std::int64_t ranks);

}  // namespace keyshard
