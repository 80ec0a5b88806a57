// A model in training on this rank: the tables and the dense side, and the line of a step through
// both. It reads no files and prints nothing; `TrainingRun` drives it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "embedding/lookup/lookup.hpp"
#include "embedding/rows/table_set.hpp"
#include "io/bad_lines.hpp"
#include "io/batch.hpp"
#include "io/data_reader.hpp"
#include "io/state_digest.hpp"
#include "launch/training/dense_side.hpp"
#include "launch/training/job_config.hpp"
#include "launch/training/step_clock.hpp"
#include "launch/training/step_trace.hpp"

namespace keyshard {

struct StepResult {
  double loss = 0;                 ///< mean over the valid samples of the global batch
  std::int64_t valid_samples = 0;  ///< of the global batch
  bool stop = false;               ///< a rank asked to stop after this step
  LookupTraffic traffic;           ///< of this rank
};

class Trainer {
 public:
  /// Makes tables and model as configured for data of `schema`. Collective.
  Trainer(const JobConfig& config, const DataSchema& schema, Communicator<Cpu>& communicator,
          Stream<Cpu>& stream);

  /// One step on a global batch. `stop` is this rank's wish to stop, which travels with the counts.
  /// Collective. Throws Error{non_finite} naming the step and the feature, table or the dense part,
  /// and Error{bad_input} where more lines are bad than allowed.
  StepResult step(const Batch& batch, double learning_rate_scale, bool stop = false);

  /// The logits of this rank's samples; counts the bad lines of the batch. Collective.
  std::vector<float> predict(const Batch& batch, BadLines& bad_lines);

  std::int64_t steps() const noexcept { return steps_; }

  StepClock& clock() noexcept { return clock_; }

  /// Of the training data.
  BadLines& bad_lines() noexcept { return bad_lines_; }

  TableSet<Cpu>& tables() noexcept { return tables_; }

  DenseSide<Cpu>& dense() noexcept { return *dense_; }

  Communicator<Cpu>& communicator() noexcept { return communicator_; }

  Stream<Cpu>& stream() noexcept { return stream_; }

  Loss loss() const noexcept { return dense_->model().loss(); }

  /// Takes up the step count of a checkpoint.
  void restore_steps(std::int64_t steps) noexcept { steps_ = steps; }

  /// The digest of everything that training has changed; equal on every rank. Collective.
  Digest128 digest();

  /// Digests the stages of every step from now on into `trace`, which is borrowed. The same on all
  /// ranks.
  void trace_into(StepTrace& trace) noexcept { trace_ = &trace; }

 private:
  struct Pooled;
  Pooled look_up(const Batch& batch, bool training, bool stop, BadLines& bad_lines);
  [[noreturn]] void refuse_loss(double loss, Span<const MatrixView<float>> pooled);
  void update(double learning_rate_scale, std::int64_t valid_samples);
  NamedDigests digests_of_dense();

  Communicator<Cpu>& communicator_;
  Stream<Cpu>& stream_;
  std::uint64_t seed_;
  std::int64_t slices_;
  std::vector<std::string> groups_;
  std::vector<std::string> features_;
  TableSet<Cpu> tables_;
  std::unique_ptr<Lookup<Cpu>> lookup_;
  std::unique_ptr<DenseSide<Cpu>> dense_;
  std::int64_t steps_ = 0;
  BadLines bad_lines_;
  StepClock clock_;
  StepTrace* trace_ = nullptr;  // null: none
};

}  // namespace keyshard
