#include "launch/training/models/metrics.hpp"

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
    predictions.add_to(sums.sums, loss_, i);
    if (loss_ == Loss::log_loss) {
      sums.ranked.push_back(predictions.ranked(i));
      if (!predictions.groups.empty()) {
        sums.grouped.push_back({predictions.groups[i], sums.ranked.back()});
      }
    }
  }
}

MetricSums MetricsAccumulator::fold(Communicator<Cpu>& communicator) const {
  MetricSums folded;
  for (std::size_t k = 0; k < MetricSums::kSums; ++k) {
    std::vector<double> terms;
    std::vector<bool> present;
    for (const SliceSums& slice : sums_) {
      terms.push_back(slice.sums.sums[k]);
      present.push_back(slice.sums.samples > 0);
    }
    folded.sums[k] = folded_scalar(communicator, slices_, terms, present);
  }
  for (const SliceSums& slice : sums_) {
    folded.samples += slice.sums.samples;
  }
  communicator.all_reduce(Span<std::int64_t>(&folded.samples, 1), Reduction::sum);
  return folded;
}

template <class T>
std::vector<T> MetricsAccumulator::joined(std::vector<T> SliceSums::*of_slice) {
  std::vector<T> all;
  for (SliceSums& slice : sums_) {
    all.insert(all.end(), (slice.*of_slice).begin(), (slice.*of_slice).end());
    slice.*of_slice = {};
  }
  return all;
}

Metrics MetricsAccumulator::result(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                   bool grouped) {
  Metrics metrics = fold(communicator).means(loss_);
  if (loss_ == Loss::log_loss) {
    std::vector<RankedSample> ranked = joined(&SliceSums::ranked);
    metrics.auc = area_under_curve(communicator, stream, ranked);
  }
  if (grouped) {
    metrics.gauc = group_auc(communicator, stream, joined(&SliceSums::grouped));
  }
  sums_.assign(sums_.size(), SliceSums{});
  return metrics;
}

}  // namespace keyshard
