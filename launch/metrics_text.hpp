// How metrics of a split read: for the user, and in OUTPUT/metrics.jsonl.
#pragma once

#include <string>
#include <vector>

#include "launch/training/models/value_metrics.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

/// "auc 0.8123, log loss 0.4567, normalized entropy 0.8012, calibration 0.9950 (mean score 0.2487,
/// mean label 0.2500)", with squared error rmse, mae and calibration; then GAUC where a column was
/// named for it, and the same of unseen ids. A metric that is undefined (NaN) is shown as
/// "undefined".
std::string metrics_text(Loss loss, const SplitMetrics& metrics);

/// A line for each value that is shown, and one for the others; none where no column was named.
std::vector<std::string> value_lines(Loss loss, const SplitMetrics& metrics);

/// Appends the metrics to the entries of a line of metrics.jsonl.
void add_metrics(const Metrics& metrics, SettingValue::Table& report);

/// The metrics per value, as metrics.jsonl has them.
SettingValue value_metrics_tree(const MetricsByValue& by_value);

}  // namespace keyshard
