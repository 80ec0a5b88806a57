// A training from its configuration to its end: reads batches, steps, evaluates, decides, saves,
// reports. At the end of a step, in this order: update, evaluate if due, decay or stop, checkpoint,
// report.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/data_reader.hpp"
#include "io/label_counts.hpp"
#include "io/prefetch_reader.hpp"
#include "launch/job_saves.hpp"
#include "launch/reporter.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/schedule.hpp"
#include "launch/training/training.hpp"
#include "launch/training/unseen_ids.hpp"

namespace keyshard {

enum class RunEnd { done, stopped_by_signal };

/// The checkpoint that a training begins with.
struct StartingPoint {
  std::string checkpoint;  ///< empty: none
  /// resume: the training that made the checkpoint goes on. start: only rows, weights and
  /// optimizers are taken; steps and epochs count from the start, on data of its own.
  CheckpointUse use = CheckpointUse::resume;
};

class TrainingRun {
 public:
  /// Opens the data and makes the model on `device`, or loads the model of the checkpoint `from`
  /// where it has one. `checkpoints` may be null: then nothing is saved. Collective. Throws
  /// Error{corrupt_data} where configuration, data or model are not those of the checkpoint, before
  /// tables are loaded, and Error{invalid_argument} where the data are too few for what the
  /// configuration asks.
  TrainingRun(const JobConfig& config, Communicator<Cpu>& communicator, Stream<Cpu>& stream,
              Reporter& reporter, JobCheckpoints* checkpoints, const StartingPoint& from = {},
              const Device& device = {});

  /// Trains to the end, or until `stop` returns true on any rank; `stop` is asked in every step,
  /// and the step in which it returns true is the last. Where all ranks fail together, the best
  /// step so far is saved before the error is thrown. Collective.
  RunEnd run(const std::function<bool()>& stop = {});

  Training& training() noexcept { return *training_; }

  const Schedule& schedule() const noexcept { return schedule_; }

  /// Losses of the steps of this run.
  const std::vector<double>& losses() const noexcept { return losses_; }

  /// The step of the newest checkpoint that this run has saved or resumed from; -1: none.
  std::int64_t saved_step() const noexcept { return saves_.saved_step(); }

  /// Whether no step is left, as before `run` in a job that has ended.
  bool finished() const noexcept {
    return training_->steps() >= total_steps_ || schedule_.stopped();
  }

  /// Steps of the whole job, with those before a resume.
  std::int64_t total_steps() const noexcept { return total_steps_; }

 private:
  RunEnd run_steps(const std::function<bool()>& stop);
  void open_data(Stream<Cpu>& stream);
  void tell_note(const DataReader& reader);
  void tell_labels();
  void tell_labels_of(const Metrics& valid);
  void tell_removed();
  void tell_dropped();
  /// How often rows of tables with `tiered` lay in fast memory, in this run.
  void tell_fast_rows();
  void tell_no_restriction();
  void refuse_small_slices() const;
  void refuse_no_evaluation() const;
  TrainingPosition take_up_config(const std::string& checkpoint);
  void check_data(const std::string& checkpoint, const TrainingPosition& saved);
  void resume(const std::string& checkpoint);
  void start_from(const std::string& checkpoint);
  void load_first_rows();
  std::int64_t count_steps() const;
  void finish_step(const StepResult& result);

  /// The factor of all learning rates in the next step.
  double rate_scale() const { return schedule_.scale(training_->steps(), total_steps_); }

  bool evaluation_is_due() const;
  void evaluate();
  void tell_undefined(const Metrics& metrics);
  TrainingPosition position() const;
  void report(const StepResult& result, bool last);

  JobConfig config_;
  Communicator<Cpu>& communicator_;
  Reporter& reporter_;
  JobSaves saves_;
  std::unique_ptr<AheadReader> train_;
  std::unique_ptr<DataReader> valid_;
  std::unique_ptr<UnseenIds> unseen_;  // null: not asked for
  Device device_;
  std::string numerics_;  // of the device
  std::unique_ptr<Training> training_;
  Schedule schedule_;
  LabelCounts labels_;  // of the first epoch
  bool labels_told_ = false;
  bool valid_labels_told_ = false;
  std::vector<double> losses_;
  std::int64_t examples_ = 0;
  std::int64_t total_steps_ = 0;
  bool told_undefined_ = false;
  std::int64_t told_removed_ = 0;
  std::int64_t told_dropped_ = 0;
};

}  // namespace keyshard
