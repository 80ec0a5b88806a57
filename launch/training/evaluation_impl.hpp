// The bodies of the evaluation.
#pragma once

#include "launch/training/evaluation.hpp"

namespace keyshard {
/// Samples of some slices with what the model makes of them.
struct ScoredSamples {
  Range slices;
  std::vector<std::int64_t> offsets;  // [slices.size() + 1] as in Batch
  std::vector<float> logits, scores, labels, weights;

  /// The samples that `keep` names.
  template <class Keep>
  ScoredSamples(const Batch& batch, const std::vector<float>& all_logits, Loss loss,
                const Keep& keep)
      : slices(batch.slices), offsets{0} {
    for (std::int64_t slice = 0; slice < slices.size(); ++slice) {
      const auto s = static_cast<std::size_t>(slice);
      for (std::int64_t i = batch.slice_offsets[s]; i < batch.slice_offsets[s + 1]; ++i) {
        if (keep(i)) {
          add(batch, all_logits, static_cast<std::size_t>(i));
        }
      }
      offsets.push_back(static_cast<std::int64_t>(logits.size()));
    }
    scores.resize(logits.size());
    scores_of(loss, logits, scores.data());
  }

  void add(const Batch& batch, const std::vector<float>& all_logits, std::size_t i) {
    logits.push_back(all_logits[i]);
    labels.push_back(batch.labels[i]);
    if (!batch.weights.empty()) {
      weights.push_back(batch.weights[i]);
    }
  }

  Predictions of(std::int64_t slice) const {
    const auto s = static_cast<std::size_t>(slice);
    const auto part = [&](const std::vector<float>& all) {
      return all.empty() ? Span<const float>()
                         : Span<const float>(all).subspan(offsets[s], offsets[s + 1] - offsets[s]);
    };
    return {part(logits), part(scores), part(labels), part(weights)};
  }
};

inline void add_scored(const ScoredSamples& scored, ThreadPool& threads,
                       MetricsAccumulator& metrics) {
  threads.for_tasks(scored.slices.size(), [&](std::int64_t slice, int) {
    metrics.add(scored.slices.begin + slice, scored.of(slice));
  });
}

template <Backend B>
SplitMetrics evaluate_split(
    Trainer<B>& trainer, DataReader& reader, const UnseenIds* unseen,
    const std::function<void(const Batch&, const std::vector<float>&)>& each) {
  Communicator<Cpu>& communicator = host_of(trainer.communicator());
  Stream<Cpu>& stream = host_of(trainer.stream());
  const InPhase phase(trainer.communicator().progress(), Phase::evaluating);
  const std::int64_t slices = trainer.slices();
  const Range run = run_of(communicator.rank(), communicator.size(), slices);
  const Loss loss = trainer.loss();
  MetricsAccumulator of_all(loss, slices, run), of_unseen(loss, slices, run);
  BadLines bad_lines(trainer.max_bad_lines());
  Batch batch;
  while (read_next(reader, batch, communicator.progress())) {
    const std::vector<float> logits = trainer.predict(batch, bad_lines);
    add_scored(ScoredSamples(batch, logits, loss, [](std::int64_t) { return true; }),
               stream.threads(), of_all);
    if (unseen != nullptr) {
      const auto is_new = [&](std::int64_t sample) { return unseen->contains(batch, sample); };
      add_scored(ScoredSamples(batch, logits, loss, is_new), stream.threads(), of_unseen);
    }
    if (each) {
      each(batch, logits);
    }
  }
  SplitMetrics metrics{of_all.result(communicator, stream), {}};
  if (unseen != nullptr) {
    metrics.unseen = of_unseen.result(communicator, stream);
  }
  return metrics;
}

}  // namespace keyshard
