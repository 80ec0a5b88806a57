// The metric of the validation data that steers a job: it says which step is the best, when a job
// stops and when its learning rates fall.
#pragma once

#include <string>
#include <vector>

#include "launch/training/models/metric_sums.hpp"

namespace keyshard {

enum class ValidationMetric { auc, log_loss, rmse, normalized_entropy, gauc };

/// The names in files, in the order of the enumeration.
const std::vector<std::string>& names_of(ValidationMetric);

const char* name_of(ValidationMetric metric);
bool higher_is_better(ValidationMetric metric);

/// The metric among others; NaN where it is undefined.
double chosen(const Metrics& metrics, ValidationMetric metric);

/// What a metric that is undefined lacks, for messages: "7 samples, labels of one class (mean 1)".
std::string why_undefined(const Metrics& metrics, ValidationMetric metric);

}  // namespace keyshard
