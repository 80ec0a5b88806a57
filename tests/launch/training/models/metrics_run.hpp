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
  std::vector<float> weights;  // empty: all 1

  Predictions part(std::size_t begin, std::size_t end) const {
    const auto cut = [&](const std::vector<float>& v) {
      return v.empty() ? Span<const float>{} : Span<const float>(v).subspan(begin, end - begin);
    };
    return {cut(logits), cut(scores), cut(labels), cut(weights)};
  }
};

/// The metrics that each rank gets, the samples dealt to slices and each slice in two batches.
inline std::vector<Metrics> metrics_on_ranks(const Samples& samples, Loss loss, std::int64_t slices,
                                             int ranks) {
  std::vector<Metrics> results(static_cast<std::size_t>(ranks));
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const Range run = run_of(communicator.rank(), ranks, slices);
    MetricsAccumulator accumulator(loss, slices, run);
    const std::int64_t n = static_cast<std::int64_t>(samples.labels.size());
    for (std::int64_t slice = run.begin; slice < run.end; ++slice) {
      const Range part = run_of(slice, slices, n);
      const std::size_t begin = static_cast<std::size_t>(part.begin);
      const std::size_t middle = begin + static_cast<std::size_t>(part.size() / 2);
      accumulator.add(slice, samples.part(begin, middle));
      accumulator.add(slice, samples.part(middle, static_cast<std::size_t>(part.end)));
    }
    results[static_cast<std::size_t>(communicator.rank())] =
        accumulator.result(communicator, stream);
  });
  return results;
}

}  // namespace keyshard::testing
