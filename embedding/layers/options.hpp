// The options of tables and features as a configuration file gives them: [embedding],
// [tables.NAME], and the keys of [[data.columns]] that belong to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/lookup/feature.hpp"
#include "embedding/rows/table_options.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

struct EmbeddingOptions {
  std::vector<TableOptions> tables;
  std::vector<FeatureOptions> features;
};

/// Reads the options of every feature of `features` from the root of a configuration: [embedding]
/// (defaults), [tables.NAME], and the keys `table` and `combiner` of its column in
/// [[data.columns]]. `groups` names the column groups that the model wants: "factor" has the
/// options of [embedding] itself, "linear" those of [embedding.linear] (dim 1, zeros by default).
EmbeddingOptions read_embedding_options(Settings& root, const std::vector<std::string>& features,
                                        const std::vector<std::string>& groups,
                                        std::uint64_t job_seed);

/// Keys of a column of [[data.columns]] that belong to this folder.
const std::vector<std::string>& embedding_column_keys();

Optimizer read_optimizer(Settings settings, const Optimizer& otherwise);

}  // namespace keyshard
