// Which metrics an evaluation has beside those of all samples: job.metrics of a configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/settings.hpp"

namespace keyshard {

struct MetricsOptions {
  std::string gauc;        ///< the feature whose ids are the groups of GAUC; empty: no GAUC
  std::string by;          ///< the feature by whose values metrics are shown, too; empty: none
  std::int64_t most = 20;  ///< values that are shown, those with the most samples
};

/// The features of the data, by name.
struct FeatureNames {
  std::vector<std::string> all;
  std::vector<std::string> lists = {};  ///< those that hold lists of ids
};

/// Reads the table.
MetricsOptions read_metrics_options(Settings settings, const FeatureNames& features);

}  // namespace keyshard
