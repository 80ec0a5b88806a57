// What a job saves and how it goes on: connects tables, dense side, schedule and reader position to
// the files of io. The library of either side knows nothing of the other.
#pragma once

#include <string>
#include <vector>

#include "io/bad_lines.hpp"
#include "io/checkpoint_reader.hpp"
#include "io/checkpoint_writer.hpp"
#include "io/data_reader.hpp"
#include "launch/job_config.hpp"
#include "launch/schedule.hpp"
#include "launch/trainer.hpp"

namespace keyshard {

/// Where a training stands beside its model.
struct TrainingPosition {
  ReaderPosition reader;
  ScheduleState schedule;
  ReadOrder train_order = ReadOrder::blocks;
  ReadOrder valid_order = ReadOrder::blocks;
  Digest128 data;  ///< DataReader::index_digest of the training data
  BadLineCounts bad_lines;
  std::string numerics;  ///< fingerprint of the run that saved it
};

/// The folder of checkpoints of a job's output folder.
std::string checkpoint_folder(const std::string& output);

/// The checkpoint that a user names: `path` itself, or the newest one of a job's folder or its
/// folder of checkpoints. Throws Error{corrupt_data} where there is none. Collective.
std::string find_checkpoint(const std::string& path, Communicator<Cpu>& communicator);

/// The options of the data of a job that goes on: the order of reading is the one that was resolved
/// at its start. Throws Error{corrupt_data} on all ranks where the configuration names another
/// order or window than the checkpoint has. Collective.
DataOptions data_of_checkpoint(const std::string& path, DataOptions options,
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
