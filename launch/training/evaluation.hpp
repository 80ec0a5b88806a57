// Metrics of a split of the data.
#pragma once

#include <functional>

#include "launch/training/evaluation_plan.hpp"
#include "launch/training/models/value_metrics.hpp"
#include "launch/training/trainer.hpp"

namespace keyshard {

/// Reads `reader` from the start of its epoch to the end and returns the metrics over all ranks,
/// and what `plan` asks for besides. Where the reader keeps one cell of each sample, that cell
/// names the value of the sample (with_names_of_values). `each`, if given, gets every batch with
/// the logits of its samples. Collective. Throws Error{bad_input} where more lines are bad than the
/// trainer allows in an epoch, and Error{invalid_argument} where the plan names no feature of the
/// reader, or one with several ids in a sample.
template <Backend B>
SplitMetrics evaluate_split(
    Trainer<B>& trainer, DataReader& reader, const EvaluationPlan& plan = {},
    const std::function<void(const Batch&, const std::vector<float>&)>& each = {});

}  // namespace keyshard
