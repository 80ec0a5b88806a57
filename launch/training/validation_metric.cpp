#include "launch/training/validation_metric.hpp"

#include <cmath>
#include <cstddef>

#include <fmt/format.h>

namespace keyshard {

const std::vector<std::string>& names_of(ValidationMetric) {
  static const std::vector<std::string> names{"auc", "log_loss", "rmse", "normalized_entropy",
                                              "gauc"};
  return names;
}

const char* name_of(ValidationMetric metric) {
  return names_of(metric)[static_cast<std::size_t>(metric)].c_str();
}

bool higher_is_better(ValidationMetric metric) {
  return metric == ValidationMetric::auc || metric == ValidationMetric::gauc;
}

double chosen(const Metrics& metrics, ValidationMetric metric) {
  switch (metric) {
    case ValidationMetric::auc:
      return metrics.auc;
    case ValidationMetric::log_loss:
      return metrics.loss;
    case ValidationMetric::rmse:
      return metrics.rmse;
    case ValidationMetric::normalized_entropy:
      return metrics.normalized_entropy;
    case ValidationMetric::gauc:
      break;
  }
  return metrics.gauc.auc;
}

std::string why_undefined(const Metrics& metrics, ValidationMetric metric) {
  const bool of_groups = metric == ValidationMetric::gauc && !std::isnan(metrics.auc);
  const std::string lack = std::isnan(metrics.loss) ? "whose weights sum to 0"
                           : of_groups
                               ? "no group of job.metrics.gauc with labels of both classes"
                               : fmt::format("labels of one class (mean {:g})", metrics.mean_label);
  return fmt::format("{} samples, {}", metrics.samples, lack);
}

}  // namespace keyshard
