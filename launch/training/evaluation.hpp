// Metrics of a split of the data.
#pragma once

#include <functional>

#include "launch/training/models/metrics.hpp"
#include "launch/training/trainer.hpp"
#include "launch/training/unseen_ids.hpp"

namespace keyshard {

/// Reads `reader` from the start of its epoch to the end and returns the metrics over all ranks;
/// with `unseen` also the metrics of the samples whose ids are new. `each`, if given, gets every
/// batch with the logits of its samples. Collective. Throws Error{bad_input} where more lines are
/// bad than the trainer allows in an epoch.
template <Backend B>
SplitMetrics evaluate_split(
    Trainer<B>& trainer, DataReader& reader, const UnseenIds* unseen = nullptr,
    const std::function<void(const Batch&, const std::vector<float>&)>& each = {});

}  // namespace keyshard
