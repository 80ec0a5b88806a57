// The options of tables and features as a configuration gives them: [embedding], [tables.NAME], and
// the keys of a feature's column that belong to this folder. Which column groups there are, and
// which columns, comes from outside.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/layers/activity_options.hpp"
#include "embedding/lookup/feature.hpp"
#include "embedding/rows/table_options.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

struct EmbeddingOptions {
  std::vector<TableOptions> tables;
  std::vector<FeatureOptions> features;
  std::vector<std::vector<std::string>> devices;  ///< of each table, as device_ranks takes them
  /// The regularizer of the outputs of each feature, one per column group; empty: none.
  std::vector<std::vector<ActivityOptions>> activities;
};

/// A column group that a configuration may describe, and its options where nothing is given.
struct GroupDefaults {
  std::string name;
  /// The table inside [embedding] and [tables.NAME] that has the options of this group. Empty: the
  /// options stand in [embedding] and [tables.NAME] themselves, and the `combiner` of a column is
  /// for this group.
  std::string table;
  std::int64_t dim = 0;     ///< 0: taken from the key `dim`, 16 by default
  std::string initializer;  ///< type
  std::string optimizer;    ///< type; empty: as the group without a table of its own has it
  Combiner combiner = Sum{};
  bool used = true;  ///< false: its options are read and checked, but no table has this group
};

/// A column of the data by its name, with the table of a configuration that describes it.
struct ColumnSettings {
  std::string name;
  Settings settings;
};

/// Reads the options of every feature of `features` from the root of a configuration: [embedding]
/// (defaults), [tables.NAME], and the keys of the feature's column that belong to this folder, if
/// `columns` has it. A table has the groups that are used, in their order; its seed, where it has
/// none of its own, is a hash of its name and `job_seed`. It is trainable if one of its features
/// is. Names may be those of `rules`, which the program has registered. Problems are recorded in
/// the report of `root`.
EmbeddingOptions read_embedding_options(Settings& root, const std::vector<std::string>& features,
                                        const std::vector<GroupDefaults>& groups,
                                        std::vector<ColumnSettings> columns, std::uint64_t job_seed,
                                        const OwnRules& rules = no_own_rules());

/// Keys of a column that belong to this folder.
const std::vector<std::string>& embedding_column_keys();

}  // namespace keyshard
