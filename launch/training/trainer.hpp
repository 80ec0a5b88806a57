// A model in training on this rank: the tables, the dense side, and the training step through both.
// A trainer reads no files and prints nothing; a program gives it batches, step by step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "embedding/lookup/lookup.hpp"
#include "embedding/rows/table_set.hpp"
#include "io/bad_lines.hpp"
#include "io/batch.hpp"
#include "io/data_reader.hpp"
#include "io/state_digest.hpp"
#include "launch/training/activity_terms.hpp"
#include "launch/training/dense_side.hpp"
#include "launch/training/look_ahead.hpp"
#include "launch/training/next_batch.hpp"
#include "launch/training/step_clock.hpp"
#include "launch/training/step_trace.hpp"
#include "launch/training/trainer_options.hpp"

namespace keyshard {

struct StepResult {
  /// Mean over the valid samples of the global batch, the regularizers of outputs included.
  double loss = 0;
  std::int64_t valid_samples = 0;  ///< of the global batch
  bool stop = false;               ///< a rank asked to stop after this step
  LookupTraffic traffic;           ///< of this rank
};

template <Backend B>
class Trainer {
 public:
  /// Makes tables and model for data of `schema`. Communicator and stream are borrowed. Collective.
  /// Throws Error{invalid_argument} where the options do not fit together.
  Trainer(const TrainerOptions& options, const DataSchema& schema, Communicator<B>& communicator,
          Stream<B>& stream);

  /// One step on a global batch. `stop` is this rank's wish to stop, sent along with the counts.
  /// `next` is the batch of the step after it, borrowed for the call, where all ranks have one:
  /// with the option `overlap` its ids travel during this step, and the next call takes that batch,
  /// moved but not copied. No result depends on `next`. Collective. Throws Error{non_finite} naming
  /// the step and the feature, table or the dense part, and Error{bad_input} where more lines are
  /// bad than allowed; what is wrong with the next batch is thrown by the next step.
  StepResult step(const Batch& batch, double learning_rate_scale, bool stop = false,
                  const NextBatch& next = {});

  /// The logits of this rank's samples, on the host; counts the bad lines of the batch. Collective.
  std::vector<float> predict(const Batch& batch, BadLines& bad_lines);

  std::int64_t steps() const noexcept { return steps_; }

  std::uint64_t seed() const noexcept { return seed_; }

  std::int64_t slices() const noexcept { return slices_; }

  std::int64_t max_bad_lines() const noexcept { return max_bad_lines_; }

  /// Where time and launches of the steps go. All launches of the dense side are in the part
  /// `model`; launches between two steps are in `read`.
  StepClock& clock() noexcept { return clock_; }

  /// The bad lines of the training data.
  BadLines& bad_lines() noexcept { return bad_lines_; }

  TableSet<B>& tables() noexcept { return tables_; }

  DenseSide<B>& dense() noexcept { return *dense_; }

  Communicator<B>& communicator() noexcept { return communicator_; }

  Stream<B>& stream() noexcept { return stream_; }

  Loss loss() const noexcept { return dense_->model().loss(); }

  /// Sets the step count to that of a checkpoint.
  void restore_steps(std::int64_t steps) noexcept { steps_ = steps; }

  /// The digest of everything that training has changed; equal on every rank. Collective.
  Digest128 digest();

  /// Digests the stages of every step from now on into `trace`, which is borrowed. The same on all
  /// ranks.
  void trace_into(StepTrace<B>& trace) noexcept { trace_ = &trace; }

 private:
  struct Pooled;
  Pooled look_up(const Batch& batch, PreparedLookup<B> prepared, bool training,
                 BadLines& bad_lines);
  StepResult train_on(const Batch& batch, PreparedLookup<B> prepared, double learning_rate_scale);
  void finish_next();
  bool any_rank(bool wish);
  [[noreturn]] void refuse_loss(double loss, const Pooled& pooled);
  void update(double learning_rate_scale, std::int64_t valid_samples);
  NamedDigests digests_of_dense();
  void end_part(StepPart part);

  /// Of the stream, and of what was prepared ahead.
  std::int64_t launches() const noexcept { return stream_.launches() + launches_ahead_; }

  Communicator<B>& communicator_;
  Stream<B>& stream_;
  std::uint64_t seed_;
  std::int64_t slices_;
  bool overlaps_;
  std::int64_t max_bad_lines_;
  std::vector<std::string> groups_;
  std::vector<std::string> features_;
  TableSet<B> tables_;
  std::unique_ptr<Lookup<B>> lookup_;
  std::unique_ptr<DenseSide<B>> dense_;
  std::unique_ptr<ActivityTerms<B>> activity_;
  std::unique_ptr<LookAhead<B>> ahead_;  // null: no batch was prepared ahead so far
  std::int64_t launches_ahead_ = 0;      // up to the last batch that was prepared ahead
  std::int64_t steps_ = 0;
  BadLines bad_lines_;
  StepClock clock_;
  StepTrace<B>* trace_ = nullptr;  // null: none
};

}  // namespace keyshard
