// The whole training step of W1 with a network 429-256-128-1, on the batches of this rank as a
// reader would give them.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/rules/optimizers.hpp"
#include "launch/bench/context.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/trainer.hpp"

namespace keyshard {

/// Units of the hidden layers.
inline constexpr std::int64_t kModelHidden[] = {256, 128};

class ModelStep {
 public:
  /// All arguments but `optimizer` and `overlap` (TrainerOptions) are borrowed; ranks are those of
  /// `communicator`. All keys of W1 have rows. Collective.
  ModelStep(BenchContext& context, Communicator<Cpu>& communicator, const Optimizer& optimizer,
            std::int64_t overlap = 0);

  /// Trains on a step of W1, and returns the loss. The next call takes the step after it, or begins
  /// a round anew where this was the last.
  double train(std::int64_t step);

  StepClock& clock() noexcept { return trainer_.clock(); }

  std::int64_t batch_size() const noexcept { return config_.job.batch_size; }

 private:
  JobConfig config_;
  Trainer<Cpu> trainer_;
  std::vector<Batch> batches_;  // by step
};

}  // namespace keyshard
