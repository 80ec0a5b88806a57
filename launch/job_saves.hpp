// When the saves of a training come to their end, and what a failed one means. The save of a best
// step goes to the disk while the next steps run, so that early stopping costs little; the save at
// the end of a job is waited for. Where a job fails while the save of a best step is under way,
// that step is lost and the best one before it stays.
#pragma once

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
  /// `checkpoints` may be null: then nothing is saved.
  JobSaves(const CheckpointOptions& options, JobCheckpoints* checkpoints,
           Communicator<Cpu>& communicator, Reporter& reporter);

  bool on() const noexcept { return checkpoints_ != nullptr; }

  /// Saves this step with its position, unless that was done. A save of the best step may be under
  /// way afterwards. A save that fails is told where the configuration says so, unless the job ends
  /// with it; else throws Error{io} on all ranks. Collective.
  void save(SaveReason reason, Training& training,
            const std::function<TrainingPosition()>& position);

  /// Takes the save that is under way further, as far as the disks of all ranks are. Asked after
  /// every step. Throws as `save`. Collective.
  void advance();

  /// Waits for the save that is under way, and commits it. Throws as `save`. Collective.
  void finish();

  /// The step of the newest checkpoint; -1: none.
  std::int64_t saved_step() const noexcept { return saved_step_; }

  /// Says that the job goes on from a checkpoint of this step.
  void resume_from(std::int64_t step) noexcept { saved_step_ = step; }

 private:
  template <class Part>
  bool succeeds(const Part& part);
  void take_saved();

  const CheckpointOptions& options_;
  JobCheckpoints* checkpoints_;
  Communicator<Cpu>& communicator_;
  Reporter& reporter_;
  std::int64_t saved_step_ = -1;
  // Of the save under way.
  SaveReason reason_ = SaveReason::best;
  std::int64_t step_ = -1;
};

}  // namespace keyshard
