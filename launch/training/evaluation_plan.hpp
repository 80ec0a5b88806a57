// What an evaluation measures beside all samples.
#pragma once

#include "launch/training/metrics_options.hpp"
#include "launch/training/unseen_ids.hpp"

namespace keyshard {

struct EvaluationPlan {
  const UnseenIds* unseen = nullptr;  ///< the samples whose ids are new; borrowed; null: no
  MetricsOptions metrics = {};        ///< of features of the reader
};

/// The data of an evaluation that names the values of `metrics.by` by their text: a reader of text
/// then keeps the cells of that column.
DataOptions with_names_of_values(DataOptions data, const MetricsOptions& metrics);

}  // namespace keyshard
