// When the saves of a training come to their end, and what a failed one means. Best steps of early
// stopping follow each other closely, and each makes the one before it worthless. So the state of a
// best step is copied and waits in memory: for the next evaluation after
// checkpoint.best_every_seconds, for the next save, or for the end of the job, whether it is done,
// stopped, or has failed on all ranks. A better step takes its place. Its save goes to the disk
// while the next steps run; the save at the end of a job is waited for. A large state does not
// wait: it is saved at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "launch/job_checkpoint.hpp"
#include "launch/reporter.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/training.hpp"

namespace keyshard {

enum class SaveReason { best, routine, ending };

class JobSaves {
 public:
  using Position = std::function<TrainingPosition()>;

  /// `checkpoints` may be null: then nothing is saved.
  JobSaves(const CheckpointOptions& options, JobCheckpoints* checkpoints,
           Communicator<Cpu>& communicator, Reporter& reporter);

  bool on() const noexcept { return checkpoints_ != nullptr; }

  /// Takes this step as the best one so far, to be saved now or later. Throws as `save`.
  /// Collective.
  void keep_best(Training& training, const Position& position);

  /// Begins to save the best step that waits, where its time has come. Asked after every
  /// evaluation. Throws as `save`. Collective.
  void save_due_best();

  /// Saves the best step that waits, and then this step with its position, unless that was done. A
  /// save that fails is told where the configuration says so, unless the job ends with it; else
  /// throws Error{io} on all ranks. Collective.
  void save(SaveReason reason, Training& training, const Position& position);

  /// Takes the save that is under way further, as far as the disks of all ranks are. Asked after
  /// every step. Throws as `save`. Collective.
  void advance();

  /// Waits for the save that is under way, and saves the best step that waits. Throws as `save`.
  /// Collective.
  void finish();

  /// `finish` for a job that has failed on all ranks: what cannot be saved is told. Collective.
  void rescue();

  /// The step of the newest checkpoint; -1: none.
  std::int64_t saved_step() const noexcept { return saved_step_; }

  /// Says that the job goes on from a checkpoint of this step.
  void resume_from(std::int64_t step) noexcept { saved_step_ = step; }

 private:
  template <class Part>
  bool succeeds(SaveReason reason, std::int64_t step, const Part& part);
  template <class Part>
  void begin(SaveReason reason, std::int64_t step, const Part& part);
  void begin_best();
  void end_pending();
  void take_saved();

  const CheckpointOptions& options_;
  JobCheckpoints* checkpoints_;
  Communicator<Cpu>& communicator_;
  Reporter& reporter_;
  std::int64_t saved_step_ = -1;
  std::int64_t best_step_ = -1;  // of this run
  std::chrono::steady_clock::time_point best_written_ = std::chrono::steady_clock::now();
  // Of the save under way.
  SaveReason reason_ = SaveReason::best;
  std::int64_t step_ = -1;
  bool is_best_ = false;  // when it began: a better step may come before it ends
};

}  // namespace keyshard
