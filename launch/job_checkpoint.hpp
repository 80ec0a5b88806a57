// What a job saves and how it goes on: connects tables, dense side, schedule and reader position to
// the files of io. The library of either side knows nothing of the other.
#pragma once

#include <string>
#include <vector>

#include "io/checkpoint_reader.hpp"
#include "io/checkpoint_writer.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/job_state.hpp"
#include "launch/training/trainer.hpp"

namespace keyshard {

/// The folder of checkpoints of a job's output folder.
std::string checkpoint_folder(const std::string& output);

/// The checkpoint that a user names: `path` itself, or the newest one of a job's folder or its
/// folder of checkpoints. Throws Error{corrupt_data} where there is none. Collective.
std::string find_checkpoint(const std::string& path, Communicator<Cpu>& communicator);

/// How a job goes on from a checkpoint.
struct ResumePlan {
  DataOptions data;  ///< with the orders of reading that were resolved at the start of the job
  TrainingPosition position;
  std::vector<std::string> told;  ///< a line per key that has changed and steers
};

/// Compares the configuration with that of a checkpoint, of which it reads the manifest alone.
/// Throws Error{corrupt_data} on all ranks, with a line per key that differs and may not
/// (config_changes.hpp). Collective.
ResumePlan plan_resume(const std::string& path, const JobConfig& config,
                       Communicator<Cpu>& communicator);

class JobCheckpoints {
 public:
  /// Makes the folder in job.output and cleans it of killed saves. The caller holds the lock of the
  /// output folder. Collective.
  JobCheckpoints(const JobConfig& config, Communicator<Cpu>& communicator, Stream<Cpu>& stream);

  /// Saves the state at this step; keeps the best one if early stopping may want it. Collective.
  /// Throws Error{io}.
  CheckpointTimes save(Trainer& trainer, const TrainingPosition& position);

 private:
  const JobConfig& config_;
  LocalFileSystem files_;
  CheckpointWriter writer_;
};

/// Loads the model of a checkpoint into a trainer without rows. The tables, columns and options
/// that decide results must be those of the trainer; all is checked before a table is touched.
/// `times`, if given, gets where the time went. Collective. Throws Error{corrupt_data} on all
/// ranks.
TrainingPosition load_checkpoint(const std::string& path, const JobConfig& config, Trainer& trainer,
                                 CheckpointTimes* times = nullptr);

}  // namespace keyshard
