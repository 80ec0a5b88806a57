#include "embedding/layers/layer_metrics.hpp"

#include <algorithm>
#include <numeric>

#include "collectives/folded_sum.hpp"
#include "runtime/error.hpp"

namespace keyshard {

void LayerMetric::add(const std::vector<double>& values, const SliceLayout& slices) {
  const auto size = static_cast<std::int64_t>(values.size());
  const std::int64_t samples = slices.offsets.empty() ? -1 : slices.offsets.back();
  require(samples >= 0 &&
              static_cast<std::int64_t>(slices.offsets.size()) == slices.run.size() + 1 &&
              (samples == 0 ? size == 0 : size % samples == 0),
          Kind::invalid_argument,
          "layer {}: metric {}: expected as many values for each of {} samples: found {} values",
          layer_, name_, samples, size);
  require(
      slices_ == 0 || slices_ == slices.slices, Kind::invalid_argument,
      "layer {}: metric {}: expected values of {} slices, as before: found {}; reset() it first",
      layer_, name_, slices_, slices.slices);
  slices_ = slices.slices;
  sums_.resize(static_cast<std::size_t>(slices.run.size()));
  counts_.resize(sums_.size());
  const std::int64_t each = samples == 0 ? 0 : size / samples;
  for (std::size_t s = 0; s < sums_.size(); ++s) {
    for (std::int64_t i = slices.offsets[s] * each; i < slices.offsets[s + 1] * each; ++i) {
      sums_[s] += values[static_cast<std::size_t>(i)];
      ++counts_[s];
    }
  }
}

double LayerMetric::result(Communicator<Cpu>& communicator) const {
  std::int64_t extremes[] = {slices_, -slices_};
  communicator.all_reduce(extremes, Reduction::max);
  require(extremes[0] == -extremes[1], Kind::invalid_argument,
          "layer {}: metric {}: expected values of as many slices on every rank: found {} to {}",
          layer_, name_, -extremes[1], extremes[0]);
  if (slices_ == 0) {
    return 0;
  }
  std::vector<bool> present;
  for (const std::int64_t count : counts_) {
    present.push_back(count > 0);
  }
  std::int64_t count = std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
  const double sum = folded_scalar(communicator, slices_, sums_, present);
  communicator.all_reduce(Span<std::int64_t>(&count, 1), Reduction::sum);
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

void LayerMetric::reset() {
  slices_ = 0;
  sums_.clear();
  counts_.clear();
}

void LayerMetrics::add(const std::vector<double>& values, const SliceLayout& slices,
                       const std::optional<std::string>& name, const std::string& aggregation) {
  require(name && !name->empty(), Kind::invalid_argument,
          "layer {}: expected a name of the metric: found none", layer_);
  require(aggregation == "mean", Kind::invalid_argument,
          "layer {}: metric {}: expected aggregation = mean: found \"{}\"", layer_, *name,
          aggregation);
  const auto found = std::find_if(metrics_.begin(), metrics_.end(),
                                  [&](const auto& metric) { return metric->name() == *name; });
  if (found != metrics_.end()) {
    (*found)->add(values, slices);
    return;
  }
  auto metric = std::make_unique<LayerMetric>(layer_, *name);
  metric->add(values, slices);
  metrics_.push_back(std::move(metric));
}

std::vector<LayerMetric*> LayerMetrics::all() const {
  std::vector<LayerMetric*> all;
  for (const auto& metric : metrics_) {
    all.push_back(metric.get());
  }
  return all;
}

}  // namespace keyshard
