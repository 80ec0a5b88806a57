// The options of a trainer. A program fills them in, or makes them from a configuration by
// `trainer_options` (launch/training/job_config.hpp).
#pragma once

#include <cstdint>

#include "embedding/layers/options.hpp"
#include "launch/training/models/model_options.hpp"

namespace keyshard {

struct TrainerOptions {
  EmbeddingOptions embedding;  ///< features as they stand in a batch; tables have the column groups
                               ///< of the model (column_groups), in that order
  ModelOptions model;
  std::uint64_t seed = 1;          ///< of the dense parameters and of dropout
  std::int64_t slices = 16;        ///< V of every global batch: a power of two
  std::int64_t max_bad_lines = 0;  ///< that an epoch may have
  std::int64_t overlap = 0;  ///< batches whose ids travel while the step before them runs: 0 or 1
};

}  // namespace keyshard
