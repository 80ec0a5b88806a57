// Computes metrics of a data set on several ranks, for the tests.
#pragma once

#include <cstdint>
#include <vector>

#include "launch/training/models/metrics.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {

/// Predictions of a data set, in the order of its records.
struct Samples {
  std::vector<float> logits;
  std::vector<float> scores;
  std::vector<float> labels;
  std::vector<float> weights;        // empty: all 1
  std::vector<GroupId> groups = {};  // empty: no GAUC
  std::vector<GroupId> values = {};

  Predictions part(std::int64_t begin, std::int64_t end) const {
    const auto cut = [&]<class T>(const std::vector<T>& v) {
      return v.empty() ? Span<const T>{} : Span<const T>(v).subspan(begin, end - begin);
    };
    return {cut(logits), cut(scores), cut(labels), cut(weights), cut(groups), cut(values)};
  }

  /// Adds the samples of some slices that keep(sample) names to an accumulator, in their order.
  template <class Accumulator, class Keep>
  void add_to(Accumulator& accumulator, std::int64_t slices, Range run, const Keep& keep) const {
    for (std::int64_t slice = run.begin; slice < run.end; ++slice) {
      const Range mine = run_of(slice, slices, std::ssize(labels));
      for (std::int64_t i = mine.begin; i < mine.end; ++i) {
        if (keep(static_cast<std::size_t>(i))) {
          accumulator.add(slice, part(i, i + 1));
        }
      }
    }
  }
};

/// The metrics that each rank gets, the samples dealt to slices and each slice in two batches.
inline std::vector<Metrics> metrics_on_ranks(const Samples& samples, Loss loss, std::int64_t slices,
                                             int ranks) {
  std::vector<Metrics> results(static_cast<std::size_t>(ranks));
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const Range run = run_of(communicator.rank(), ranks, slices);
    MetricsAccumulator accumulator(loss, slices, run);
    const std::int64_t n = std::ssize(samples.labels);
    for (std::int64_t slice = run.begin; slice < run.end; ++slice) {
      const Range part = run_of(slice, slices, n);
      const std::int64_t middle = part.begin + part.size() / 2;
      accumulator.add(slice, samples.part(part.begin, middle));
      accumulator.add(slice, samples.part(middle, part.end));
    }
    results[static_cast<std::size_t>(communicator.rank())] =
        accumulator.result(communicator, stream, !samples.groups.empty());
  });
  return results;
}

}  // namespace keyshard::testing
