// The checkpoints of a job: where they lie in its output folder, which checkpoint a user means, and
// whether a configuration may go on from a checkpoint. launch/training/training_checkpoint decides
// what a checkpoint holds.
#pragma once

#include <string>
#include <vector>

#include "launch/training/job_config.hpp"
#include "launch/training/training_checkpoint.hpp"

namespace keyshard {

/// The folder with the checkpoints of a job, inside its output folder.
std::string checkpoint_folder(const std::string& output);

/// The checkpoint that a user names by `path`: a checkpoint itself, or the newest checkpoint of a
/// job's folder or of a folder of checkpoints. Throws Error{corrupt_data} where there is none.
/// Collective.
std::string find_checkpoint(const std::string& path, Communicator<Cpu>& communicator);

/// How a job goes on from a checkpoint.
struct ResumePlan {
  DataOptions data;  ///< with the orders of reading that were resolved at the start of the job
  TrainingPosition position;
  std::vector<std::string> told;  ///< a line per steering key that has changed
};

/// Compares the configuration with that of a checkpoint, of which only the manifest is read. Throws
/// Error{corrupt_data} on all ranks, with a line per changed key that must not change
/// (config_changes.hpp). Collective.
ResumePlan plan_resume(const std::string& path, const JobConfig& config,
                       Communicator<Cpu>& communicator);

class JobCheckpoints {
 public:
  /// Makes the folder of checkpoints in job.output and removes what killed saves left there. The
  /// caller holds the lock of the output folder. Collective.
  JobCheckpoints(const JobConfig& config, Communicator<Cpu>& communicator, Stream<Cpu>& stream);

  /// Saves the state at this step (save_checkpoint). Collective. Throws Error{io}.
  CheckpointTimes save(Trainer<Cpu>& trainer, const TrainingPosition& position);

 private:
  const JobConfig& config_;
  LocalFileSystem files_;
  CheckpointWriter writer_;
};

}  // namespace keyshard
