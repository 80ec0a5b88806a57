#include "launch/evaluation.hpp"

namespace keyshard {
namespace {

/// Adds the samples of a batch, slice by slice.
void add_batch(const Batch& batch, const std::vector<float>& logits, Loss loss, ThreadPool& threads,
               MetricsAccumulator& metrics) {
  std::vector<float> scores(logits.size());
  scores_of(loss, logits, scores.data());
  threads.for_tasks(batch.slices.size(), [&](std::int64_t slice, int) {
    const auto s = static_cast<std::size_t>(slice);
    const auto begin = static_cast<std::size_t>(batch.slice_offsets[s]);
    const auto end = static_cast<std::size_t>(batch.slice_offsets[s + 1]);
    const auto part = [&](const std::vector<float>& all) {
      return all.empty() ? Span<const float>() : Span<const float>(all).subspan(begin, end - begin);
    };
    metrics.add(batch.slices.begin + slice,
                {part(logits), part(scores), part(batch.labels), part(batch.weights)});
  });
}

}  // namespace

Metrics evaluate_split(Trainer& trainer, DataReader& reader, const JobConfig& config,
                       const std::function<void(const Batch&, const std::vector<float>&)>& each) {
  Communicator<Cpu>& communicator = trainer.communicator();
  const InPhase phase(communicator.progress(), Phase::evaluating);
  const std::int64_t slices = config.job.slices;
  MetricsAccumulator metrics(trainer.loss(), slices,
                             run_of(communicator.rank(), communicator.size(), slices));
  BadLines bad_lines(config.data.max_bad_lines);
  Batch batch;
  while (reader.next(batch)) {
    const std::vector<float> logits = trainer.predict(batch, bad_lines);
    add_batch(batch, logits, trainer.loss(), trainer.stream().threads(), metrics);
    if (each) {
      each(batch, logits);
    }
  }
  return metrics.result(communicator, trainer.stream());
}

}  // namespace keyshard
