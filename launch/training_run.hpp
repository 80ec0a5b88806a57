// A training from its configuration to its end: reads batches, steps, evaluates, decides, reports.
#pragma once

#include <memory>

#include "launch/commands.hpp"
#include "launch/job_config.hpp"
#include "launch/reporter.hpp"
#include "launch/schedule.hpp"
#include "launch/trainer.hpp"

namespace keyshard {

class TrainingRun {
 public:
  /// Opens the data and makes the model. Collective.
  TrainingRun(const JobConfig& config, Communicator<Cpu>& communicator, Stream<Cpu>& stream,
              Reporter& reporter);

  /// Trains to the end. Collective.
  void run();

  Trainer& trainer() noexcept { return *trainer_; }

  const Schedule& schedule() const noexcept { return schedule_; }

  /// Losses of all steps so far.
  const std::vector<double>& losses() const noexcept { return losses_; }

 private:
  bool step(const Batch& batch);
  void evaluate();
  void report(const StepResult& result);
  std::int64_t total_steps() const;

  const JobConfig config_;
  Communicator<Cpu>& communicator_;
  Reporter& reporter_;
  std::unique_ptr<DataReader> train_;
  std::unique_ptr<DataReader> valid_;
  std::unique_ptr<Trainer> trainer_;
  Schedule schedule_;
  std::vector<double> losses_;
  std::int64_t examples_ = 0;
};

/// How a split of the configured data is read.
ReadPlan read_plan(const JobConfig& config, bool training);

}  // namespace keyshard
