#include "launch/training/models/metrics.hpp"

#include <cmath>
#include <limits>

#include "collectives/folded_sum.hpp"
#include "runtime/error.hpp"

namespace keyshard {

MetricsAccumulator::MetricsAccumulator(Loss loss, std::int64_t slices, Range run)
    : loss_(loss), slices_(slices), run_(run), sums_(static_cast<std::size_t>(run.size())) {}

void MetricsAccumulator::add(std::int64_t slice, const Predictions& predictions) {
  require(run_.contains(slice), Kind::invalid_argument,
          "expected a slice of this rank, {} to {}: found {}", run_.begin, run_.end, slice);
  SliceSums& sums = sums_[static_cast<std::size_t>(slice - run_.begin)];
  for (std::int64_t i = 0; i < predictions.labels.size(); ++i) {
    const float weight = predictions.weights.empty() ? 1.0f : predictions.weights[i];
    const double w = static_cast<double>(weight);
    const double label = static_cast<double>(predictions.labels[i]);
    const double score = static_cast<double>(predictions.scores[i]);
    const double logit = static_cast<double>(predictions.logits[i]);
    sums.weight += w;
    sums.loss += w * sample_loss(loss_, logit, label);
    sums.squared_error += w * (score - label) * (score - label);
    sums.absolute_error += w * std::abs(score - label);
    sums.score += w * score;
    sums.label += w * label;
    if (loss_ == Loss::log_loss) {
      sums.ranked.push_back(RankedSample::of(predictions.logits[i], label > 0.5, weight));
    }
  }
  sums.samples += static_cast<std::int64_t>(predictions.labels.size());
}

double MetricsAccumulator::fold(Communicator<Cpu>& communicator, double SliceSums::*sum) const {
  std::vector<double> terms;
  std::vector<bool> present;
  for (const SliceSums& slice : sums_) {
    terms.push_back(slice.*sum);
    present.push_back(slice.samples > 0);
  }
  return folded_scalar(communicator, slices_, terms, present);
}

double MetricsAccumulator::auc(Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  if (loss_ != Loss::log_loss) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::vector<RankedSample> ranked;
  for (SliceSums& slice : sums_) {
    ranked.insert(ranked.end(), slice.ranked.begin(), slice.ranked.end());
    slice.ranked = {};
  }
  return area_under_curve(communicator, stream, ranked);
}

Metrics MetricsAccumulator::result(Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
  const double weight = fold(communicator, &SliceSums::weight);
  const auto mean = [&](double SliceSums::*sum) { return fold(communicator, sum) / weight; };
  Metrics metrics;
  metrics.loss = mean(&SliceSums::loss);
  metrics.rmse = std::sqrt(mean(&SliceSums::squared_error));
  metrics.mae = mean(&SliceSums::absolute_error);
  metrics.mean_score = mean(&SliceSums::score);
  metrics.mean_label = mean(&SliceSums::label);
  metrics.auc = auc(communicator, stream);
  for (const SliceSums& slice : sums_) {
    metrics.samples += slice.samples;
  }
  communicator.all_reduce(Span<std::int64_t>(&metrics.samples, 1), Reduction::sum);
  sums_.assign(sums_.size(), SliceSums{});
  return metrics;
}

}  // namespace keyshard
