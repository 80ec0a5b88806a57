#include "launch/metrics_text.hpp"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "runtime/shown.hpp"

namespace keyshard {
namespace {

std::string number(double value) {
  return std::isnan(value) ? "undefined" : fmt::format("{:.4f}", value);
}

std::string text_of(const GroupAuc& gauc) {
  return fmt::format(
      ", gauc {} of {} groups ({} of one class left out{})", number(gauc.auc), gauc.groups,
      gauc.one_class_groups,
      gauc.without_id > 0 ? fmt::format(", {} samples without an id", gauc.without_id) : "");
}

std::string text_of(Loss loss, const Metrics& m) {
  const std::string losses =
      loss == Loss::squared_error
          ? fmt::format("rmse {}, mae {}", number(m.rmse), number(m.mae))
          : fmt::format("auc {}, log loss {}, normalized entropy {}", number(m.auc), number(m.loss),
                        number(m.normalized_entropy));
  return fmt::format("{}, calibration {} (mean score {}, mean label {}){}", losses,
                     number(m.calibration), number(m.mean_score), number(m.mean_label),
                     m.gauc.has_samples() ? text_of(m.gauc) : "");
}

}  // namespace

std::string metrics_text(Loss loss, const SplitMetrics& metrics) {
  return text_of(loss, metrics.all) +
         (metrics.unseen ? fmt::format("; {} with unseen ids: {}", metrics.unseen->samples,
                                       text_of(loss, *metrics.unseen))
                         : "");
}

std::vector<std::string> value_lines(Loss loss, const SplitMetrics& metrics) {
  std::vector<std::string> lines;
  if (!metrics.by_value) {
    return lines;
  }
  const MetricsByValue& by_value = *metrics.by_value;
  for (const ValueMetrics& value : by_value.values) {
    lines.push_back(fmt::format("  {} {}: {} samples, {}", by_value.column,
                                value.value ? "= " + shown(*value.value) : "missing",
                                value.metrics.samples, text_of(loss, value.metrics)));
  }
  if (by_value.more_values > 0) {
    lines.push_back(fmt::format("  {}: {} more values with {} samples (job.metrics.most = {})",
                                by_value.column, by_value.more_values, by_value.more_samples,
                                by_value.values.size()));
  }
  return lines;
}

void add_metrics(const Metrics& metrics, SettingValue::Table& report) {
  report.emplace_back("samples", value_of(metrics.samples));
  report.emplace_back("loss", value_of(metrics.loss));
  report.emplace_back("auc", value_of(metrics.auc));
  report.emplace_back("rmse", value_of(metrics.rmse));
  report.emplace_back("mean_score", value_of(metrics.mean_score));
  report.emplace_back("mean_label", value_of(metrics.mean_label));
  report.emplace_back("normalized_entropy", value_of(metrics.normalized_entropy));
  report.emplace_back("calibration", value_of(metrics.calibration));
  if (metrics.gauc.has_samples()) {
    report.emplace_back("gauc", value_of(metrics.gauc.auc));
    report.emplace_back("gauc_groups", value_of(metrics.gauc.groups));
    report.emplace_back("gauc_samples", value_of(metrics.gauc.samples));
    report.emplace_back("gauc_one_class_groups", value_of(metrics.gauc.one_class_groups));
    report.emplace_back("gauc_one_class_samples", value_of(metrics.gauc.one_class_samples));
    report.emplace_back("gauc_without_id", value_of(metrics.gauc.without_id));
  }
}

SettingValue value_metrics_tree(const MetricsByValue& by_value) {
  SettingValue::Array values;
  for (const ValueMetrics& value : by_value.values) {
    SettingValue::Table entry{{"value", value.value ? value_of(*value.value) : SettingValue{}}};
    add_metrics(value.metrics, entry);
    values.push_back(value_of(std::move(entry)));
  }
  return value_of(SettingValue::Table{{"column", value_of(by_value.column)},
                                      {"values", value_of(std::move(values))},
                                      {"more_values", value_of(by_value.more_values)},
                                      {"more_samples", value_of(by_value.more_samples)}});
}

}  // namespace keyshard
