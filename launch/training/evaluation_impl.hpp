// The bodies of the evaluation.
#pragma once

#include "launch/training/evaluation.hpp"
#include "launch/training/split_evaluation.hpp"

namespace keyshard {

template <Backend B>
SplitMetrics evaluate_split(
    Trainer<B>& trainer, DataReader& reader, const EvaluationPlan& plan,
    const std::function<void(const Batch&, const std::vector<float>&)>& each) {
  Communicator<Cpu>& communicator = host_of(trainer.communicator());
  Stream<Cpu>& stream = host_of(trainer.stream());
  const InPhase phase(trainer.communicator().progress(), Phase::evaluating);
  const std::int64_t slices = trainer.slices();
  const Range run = run_of(communicator.rank(), communicator.size(), slices);
  SplitEvaluation evaluation(trainer.loss(), slices, run, reader.schema(), plan);
  BadLines bad_lines(trainer.max_bad_lines());
  Batch batch;
  while (read_next(reader, batch, communicator.progress())) {
    const std::vector<float> logits = trainer.predict(batch, bad_lines);
    evaluation.add(batch, logits, stream.threads());
    if (each) {
      each(batch, logits);
    }
  }
  return evaluation.result(communicator, stream);
}

}  // namespace keyshard
