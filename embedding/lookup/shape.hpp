// The fixed facts of a lookup: which feature reads which table, with which combiners, and where its
// columns lie. A host plan; `ref` brings to a device what functors read of the plan.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/lookup/feature.hpp"
#include "embedding/rows/row_layout.hpp"
#include "embedding/rows/table_options.hpp"
#include "embedding/rows/table_owners.hpp"
#include "embedding/rules/combine_weighted.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/copy.hpp"

namespace keyshard {

/// The place of a combiner in BagCombiner, for a choice per bag or occurrence.
using CombinerKind = std::uint8_t;

/// In place of the kinds of a combiner of the program, and of the kind with weights of a combiner
/// that takes none.
inline constexpr CombinerKind kNoCombiner = 255;

/// The kind of a combiner of the program that has a state.
inline constexpr CombinerKind kOwnState = 254;

/// The double_kind of a combiner of the program.
inline constexpr CombinerKind kOwnDoubles = 253;

/// What a column group's gradients of an id are, where all features that have the group agree.
enum GroupTerms : std::uint8_t {
  kOtherTerms,     ///< what the combiner of each feature says
  kUpstreamTerms,  ///< the upstream gradient: all features pool by sum
  kWeightedTerms   ///< the upstream gradient times the weight: all pool by sum, with weights
};

/// One column group of one feature. A feature whose table has fewer groups than others has dim 0 in
/// the rest. Columns, offsets and dims count floats: doubles and integers lie among them
/// (floats_of).
struct FeatureGroup {
  CombinerKind kind = 0;                   ///< as the feature is pooled here
  CombinerKind plain_kind = 0;             ///< as a part without weights is pooled
  CombinerKind weighted_kind = 0;          ///< as a part with weights is pooled, or kNoCombiner
  CombinerKind double_kind = kNoCombiner;  ///< as rows of doubles are pooled, which have no `kind`
  std::int32_t own = -1;  ///< the combiner of the program, in own_combiners; -1: a built-in one
  std::int32_t own_column = 0;  ///< in the gradients of an id by combiners of the program
  float empty = 0;              ///< what a bag with no ids gives
  std::int64_t column = 0;      ///< in the output of the group
  std::int64_t offset = 0;      ///< in the values of a row
  std::int64_t dim = 0;
  std::int64_t state = 0;  ///< byte in a partial state of a bag
  std::int64_t back = 0;   ///< byte in the backward message of a bag
  std::int64_t kept = -1;  ///< byte in the kept states of a sample; -1 where backward needs none

  /// How a part is pooled. Askers of one lookup may differ in whether their ids have weights: a
  /// layer is called with weights on the ranks that have ids.
  KEYSHARD_HD CombinerKind kind_of(bool weighted_part) const {
    return weighted_part ? weighted_kind : plain_kind;
  }
};

static_assert(sizeof(FeatureGroup) == 64, "a group is one cache line, for every bag reads one");

struct FeatureShape {
  std::uint16_t table = 0;
  bool by_shard = false;                           ///< bags are added by (shard, position)
  bool weighted = false;                           ///< ids have weights
  bool narrows = false;                            ///< reads doubles and delivers floats
  ValueDtype compute_dtype = ValueDtype::float32;  ///< of outputs and upstream gradients
  std::int64_t row_dim = 0;                        ///< floats of a row of the table
  std::int64_t state_bytes = 0;                    ///< of one partial state of a bag, all groups
  std::int64_t back_bytes = 0;                     ///< of the backward message of a bag, all groups
  std::int64_t dealing = 0;                        ///< of its table's shards (table_owners.hpp)
};

/// One column group of a table, in floats; dim 0 where it has fewer.
struct TableGroup {
  std::int64_t offset = 0;  ///< in the values of a row
  std::int64_t dim = 0;
};

/// What functors read of a shape, on a device.
struct ShapeRef {
  const FeatureShape* features;
  const FeatureGroup* groups;  ///< [features x num_groups]
  std::int64_t num_features;
  std::int64_t num_groups;
  std::int64_t tables;
  TableOwnersRef owners;               ///< of the tables
  const TableGroup* table_groups;      ///< [tables x num_groups]
  const std::int64_t* dims;            ///< floats of a row of each table, all groups
  const std::uint16_t* node_of_shard;  ///< [dealings x kShards] first shard of the maximal node, in
                                       ///< its owner's run, that holds it

  /// The same for the table of a feature: [kShards].
  KEYSHARD_HD const std::uint16_t* nodes_of(std::int64_t feature) const {
    return node_of_shard + features[feature].dealing * kShards;
  }

  /// Floats of a group of a feature in its output.
  KEYSHARD_HD std::int64_t output_dim(std::int64_t feature, const FeatureGroup& group) const {
    return features[feature].narrows ? numbers_in<double>(group.dim) : group.dim;
  }
};

template <Backend B>
struct ShapeStorage {
  Buffer<FeatureShape, B> features;
  Buffer<FeatureGroup, B> groups;
  Buffer<TableGroup, B> table_groups;
  Buffer<std::int64_t, B> dims;
  Buffer<std::uint16_t, B> nodes;
  TableOwnersStorage<B> owners;
};

struct LookupShape {
  std::vector<FeatureShape> features;
  std::vector<FeatureGroup> groups;       ///< [features x num_groups()]
  std::vector<TableGroup> table_groups;   ///< [tables x num_groups()]
  std::vector<Partitioner> partitioners;  ///< of each table
  std::vector<std::int64_t> dims;         ///< floats of a row of each table (floats_of)
  std::vector<ValueDtype> dtypes;         ///< of each table
  std::vector<bool> shard_order;          ///< of each table: pooled by shard
  std::vector<ExchangeMode> modes;        ///< of each table
  std::vector<std::int64_t> widths;       ///< of each group's output
  std::vector<std::uint8_t> terms;        ///< of each group: GroupTerms
  std::vector<std::uint8_t> frozen;       ///< of each table: its rows get no gradients (frozen.hpp)
  std::vector<OwnCombiner> own_combiners;  ///< of the program
  std::int64_t own_width = 0;              ///< gradients of an id by these, of any feature
  std::int64_t kept_bytes = 0;             ///< of the states that a sample keeps for backward
  std::int64_t alignment = sizeof(float);  ///< of states and blocks in messages, in bytes
  bool counts_occurrences = false;         ///< a table has L2 per occurrence
  bool weighted = false;                   ///< a feature is
  std::int64_t ranks = 1;
  TableOwners owners = TableOwners(1);       ///< of the tables
  std::vector<std::uint16_t> node_of_shard;  ///< [dealings x kShards], as in ShapeRef

  std::int64_t tables() const { return static_cast<std::int64_t>(dims.size()); }

  std::int64_t num_features() const { return static_cast<std::int64_t>(features.size()); }

  std::int64_t num_groups() const { return static_cast<std::int64_t>(widths.size()); }

  /// The table of a block of a message: blocks lie rank after rank, and for each rank table after
  /// table.
  std::int64_t table_of(std::int64_t block) const { return block % tables(); }

  std::int64_t dim_of(std::int64_t block) const {
    return dims[static_cast<std::size_t>(table_of(block))];
  }

  /// Bytes of a block of `rows` x `dim` floats in a message, half of that for 16-bit floats.
  std::int64_t row_bytes(std::int64_t rows, std::int64_t dim,
                         ValueDtype dtype = ValueDtype::float32) const {
    const std::int64_t bytes = rows * dim * (is_short(dtype) ? 2 : 4);
    return (bytes + alignment - 1) / alignment * alignment;
  }

  /// Bytes of an answer with so many rows of a table: rows travel in the type of the table.
  std::int64_t answer_bytes(std::int64_t rows, std::size_t table) const {
    return row_bytes(rows, dims[table], dtypes[table]);
  }

  /// Whether the rows of all tables have one width.
  bool uniform() const;
  bool any_by_shard() const;
  /// Whether a table may be answered in reduced form.
  bool any_reducible() const;
  /// Whether the rows of no table get gradients.
  bool all_frozen() const;
  /// Whether a table keeps 16-bit floats.
  bool any_short() const;
  /// Whether a table keeps doubles, or integers.
  bool any_double() const;
  bool any_integer() const;
  /// Whether outputs of a feature are doubles.
  bool delivers_doubles() const;
  /// Whether outputs of a feature are rounded to 16-bit floats.
  bool rounds_outputs() const;
  /// Whether a bag with no ids gives another number than 0.
  bool fills_empty() const;

  template <Backend B>
  ShapeRef ref(Stream<B>& stream, ShapeStorage<B>& storage) const {
    return {.features = device_view<FeatureShape>(stream, features, storage.features),
            .groups = device_view<FeatureGroup>(stream, groups, storage.groups),
            .num_features = num_features(),
            .num_groups = num_groups(),
            .tables = tables(),
            .owners = owners.ref(stream, storage.owners),
            .table_groups = device_view<TableGroup>(stream, table_groups, storage.table_groups),
            .dims = device_view<std::int64_t>(stream, dims, storage.dims),
            .node_of_shard = device_view<std::uint16_t>(stream, node_of_shard, storage.nodes)};
  }
};

/// Throws Error{invalid_argument} where a feature reads none of so many tables.
void check_table(const FeatureOptions& feature, std::int64_t tables);

/// Throws Error{invalid_argument} where a feature does not fit its table.
LookupShape make_lookup_shape(const std::vector<const TableOptions*>& tables,
                              const std::vector<FeatureOptions>& features, std::int64_t ranks);

}  // namespace keyshard
