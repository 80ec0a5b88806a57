#include "launch/evaluation.hpp"

namespace keyshard {

Metrics evaluate_split(Trainer& trainer, DataReader& reader, std::int64_t slices,
                       const std::function<void(const Batch&, const std::vector<float>&)>& each) {
  Communicator<Cpu>& communicator = trainer.communicator();
  const InPhase phase(communicator.progress(), Phase::evaluating);
  MetricsAccumulator metrics(trainer.loss(), slices,
                             run_of(communicator.rank(), communicator.size(), slices));
  Batch batch;
  std::vector<float> logits;
  while (reader.next(batch)) {
    trainer.evaluate(batch, metrics, each ? &logits : nullptr);
    if (each) {
      each(batch, logits);
    }
  }
  return metrics.result(communicator, trainer.stream());
}

}  // namespace keyshard
