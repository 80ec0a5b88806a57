// The checkpoints of a job: where they lie in its output folder, which checkpoint a user means, and
// whether a configuration may go on from a checkpoint. launch/training/training_checkpoint decides
// what a checkpoint holds.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint_writer.hpp"
#include "io/manifest.hpp"
#include "launch/config_changes.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/training.hpp"

namespace keyshard {

/// The folder with the checkpoints of a job, inside its output folder.
std::string checkpoint_folder(const std::string& output);

/// The checkpoint that a user names by `path`: a checkpoint itself, under any name, or its
/// manifest; or the newest checkpoint of a job's folder or of a folder of checkpoints; or, where
/// nothing has that path, DIR/best, DIR/latest or DIR/STEP of such a folder DIR. `best` is the step
/// with the best evaluation so far. A word without "/" is looked for in `output`, the folder of a
/// job, unless that is empty. Throws Error{corrupt_data} where there is none. Collective.
std::string find_checkpoint(const std::string& path, Communicator<Cpu>& communicator,
                            const std::string& output = "");

/// The best evaluation that a checkpoint knows of; nothing before the first one.
struct BestStep {
  std::int64_t step = 0;
  std::string metric;
  double value = 0;
};

/// Throws Error{corrupt_data} where the manifest is not that of a job.
std::optional<BestStep> best_step_of(const Manifest& manifest, const std::string& path);

/// The manifest of a checkpoint, alone: the other files are not looked at. Throws
/// Error{corrupt_data} where there is none, or it is no file of this format.
Manifest manifest_of(const std::string& checkpoint);

/// The configuration with which a checkpoint was trained, and the assignments of a command line on
/// top of it. Throws Error{corrupt_data} where a program saved the checkpoint without one.
JobConfig config_of(const Manifest& manifest, const std::string& path,
                    const std::vector<std::string>& assignments);

/// Refuses a configuration that is not that of a checkpoint in what shapes keys, dense values,
/// scores and states. Throws Error{corrupt_data} with a line per key, with both values.
void require_same_shape(const Manifest& manifest, const std::string& path, const JobConfig& config,
                        CheckpointUse use);

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

/// Where the configuration does not say checkpoint.best, a resumed job keeps the checkpoint of its
/// best step as it did before the checkpoint, whatever job.patience has become. Throws
/// Error{corrupt_data}.
void keep_best_as_before(const std::string& checkpoint, JobConfig& config);

/// Which checkpoint of a best step stays.
class KeptBest {
 public:
  /// Asked at every save, of step `step`, where `best` is the best step so far: the step whose
  /// checkpoint stays, which is `best`, or where its save has failed, the best step before it; -1:
  /// none. is_saved(s) says whether step s has a checkpoint.
  std::int64_t at(std::int64_t step, std::int64_t best,
                  const std::function<bool(std::int64_t)>& is_saved);

 private:
  std::int64_t last_ = -1;   // `best` at the save before
  std::int64_t saved_ = -1;  // the last one that has a checkpoint
};

class JobCheckpoints {
 public:
  /// Makes the folder of checkpoints in job.output, tries there what a save does, and removes what
  /// killed saves left. A folder that is a symbolic link is followed. The caller holds the lock of
  /// the output folder. Collective. Throws Error{io}.
  JobCheckpoints(const JobConfig& config, Communicator<Cpu>& communicator, Stream<Cpu>& stream);

  /// Begins to save the state at this step (Training::content). Collective. Throws Error{io}.
  void begin(Training& training, const TrainingPosition& position);

  /// CheckpointWriter::finish and the other members of these names.
  CheckpointTimes finish() { return writer_.finish(); }

  bool pending() const noexcept { return writer_.pending(); }

  bool advance() { return writer_.advance(); }

  /// Takes the state at this step, in place of the one that waits, to be saved by `begin_held`.
  /// Where it takes at most `most_bytes` on each rank, it is copied and may wait in memory; else
  /// returns false, and must be saved or dropped before the next step. Collective. Throws
  /// Error{io}.
  bool hold(Training& training, const TrainingPosition& position, std::int64_t most_bytes);

  /// The step of the state that waits; -1: none.
  std::int64_t held_step() const noexcept { return held_ ? held_->content.step : -1; }

  /// `begin` with the state that waits; nothing waits afterwards.
  void begin_held();

  /// Forgets the state that waits.
  void drop_held() noexcept { held_.reset(); }

  /// Both halves of a save.
  CheckpointTimes save(Training& training, const TrainingPosition& position);

  /// What the last save could not remove (CheckpointWriter).
  const std::string& not_removed() const noexcept { return writer_.not_removed(); }

  /// Removes all checkpoints of the folder. Collective. Throws Error{io}.
  void remove_all();

 private:
  /// A state that waits to be saved.
  struct Held {
    CheckpointContent content;  // without the configuration
    ScheduleState schedule;
  };

  Retention retention_at(std::int64_t step, const ScheduleState& schedule);
  void begin(CheckpointContent content, const ScheduleState& schedule);

  const JobConfig& config_;
  LocalFileSystem files_;
  Communicator<Cpu>& communicator_;
  std::string folder_;
  CheckpointWriter writer_;
  Stream<Cpu>& stream_;
  KeptBest kept_best_;
  std::optional<Held> held_;
};

}  // namespace keyshard
