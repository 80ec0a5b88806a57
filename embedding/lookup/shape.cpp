#include "embedding/lookup/shape.hpp"

#include <algorithm>

#include "runtime/error.hpp"
#include "runtime/runs.hpp"

namespace keyshard {
namespace {

FeatureShape feature_shape(const FeatureOptions& feature, const TableOptions& table,
                           LookupShape& shape) {
  require(feature.combiners.size() == table.groups.size(), Kind::invalid_argument,
          "feature {}: expected a combiner for each of the {} column groups of table {}: found {}",
          feature.name, table.groups.size(), table.name, feature.combiners.size());
  const RowLayout layout(table.groups);
  FeatureShape result{feature.table, {}, 0, 0};
  shape.widths.resize(std::max(shape.widths.size(), table.groups.size()), 0);
  for (std::size_t g = 0; g < table.groups.size(); ++g) {
    const Combiner combiner = feature.combiners[g];
    const std::int64_t dim = table.groups[g].dim;
    FeatureGroup group{combiner, shape.widths[g], layout.groups[g].value_offset, dim, -1};
    if (back_needs_state(combiner)) {
      group.state_column = shape.kept_floats;
      shape.kept_floats += dim * state_floats(combiner);
    }
    shape.widths[g] += dim;
    result.state_floats += dim * state_floats(combiner);
    result.back_floats += dim * back_floats(combiner);
    result.groups.push_back(group);
  }
  return result;
}

}  // namespace

LookupShape make_lookup_shape(const std::vector<const TableOptions*>& tables,
                              const std::vector<FeatureOptions>& features, std::int64_t ranks) {
  require(!tables.empty() && tables.size() < 65536, Kind::invalid_argument,
          "expected 1 to 65535 tables in a lookup: found {}", tables.size());
  LookupShape shape;
  shape.ranks = ranks;
  for (const TableOptions* table : tables) {
    shape.partitioners.push_back(partitioner_of(table->partitioner, table->name));
    shape.dims.push_back(table->dim());
    shape.shard_order.push_back(table->pool_order == PoolOrder::shard);
    shape.modes.push_back(table->exchange);
    shape.table_dims.emplace_back();
    for (const GroupOptions& group : table->groups) {
      shape.table_dims.back().push_back(group.dim);
      shape.counts_occurrences |=
          group.regularization.l2 > 0 && group.regularization.l2_per_occurrence;
    }
  }
  for (const FeatureOptions& feature : features) {
    require(feature.table >= 0 && feature.table < static_cast<int>(tables.size()),
            Kind::invalid_argument, "feature {}: expected a table of 0 to {}: found {}",
            feature.name, tables.size() - 1, feature.table);
    shape.features.push_back(
        feature_shape(feature, *tables[static_cast<std::size_t>(feature.table)], shape));
  }
  shape.node_of_shard.resize(static_cast<std::size_t>(kShards));
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    for (const Range& node : nodes_of(run_of(rank, ranks, kShards))) {
      std::fill(shape.node_of_shard.begin() + node.begin, shape.node_of_shard.begin() + node.end,
                static_cast<std::uint16_t>(node.begin));
    }
  }
  return shape;
}

}  // namespace keyshard
