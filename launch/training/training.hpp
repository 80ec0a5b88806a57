// A training on the device that a program has chosen: a Trainer and the functions about one,
// without its type. What runs a job works on any device through this interface, and one program
// serves machines with and without a GPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/checkpoint_writer.hpp"
#include "io/data_reader.hpp"
#include "launch/training/evaluation_plan.hpp"
#include "launch/training/job_state.hpp"
#include "launch/training/models/value_metrics.hpp"
#include "launch/training/pretrained.hpp"
#include "launch/training/trainer.hpp"

namespace keyshard {

/// A table of a training, for what a program tells of it.
struct TableNote {
  const TableOptions& options;
  std::int64_t steps;    ///< of its optimizer
  std::int64_t removed;  ///< rows that have left on this rank for its max_rows
};

class Training {
 public:
  virtual ~Training() = default;

  /// Trainer::step, Trainer::digest and the other members of these names (trainer.hpp).
  virtual StepResult step(const Batch& batch, double learning_rate_scale, bool stop,
                          const NextBatch& next) = 0;
  virtual std::int64_t steps() const noexcept = 0;
  virtual void restore_steps(std::int64_t steps) noexcept = 0;
  virtual StepClock& clock() noexcept = 0;
  virtual BadLines& bad_lines() noexcept = 0;
  virtual Loss loss() const noexcept = 0;
  virtual Digest128 digest() = 0;

  virtual std::vector<TableNote> tables() = 0;
  /// Rows over all ranks, by table; without the tables that have a store, which would have to count
  /// them. Collective.
  virtual std::vector<std::pair<std::string, std::int64_t>> rows() = 0;
  /// TableSet::not_admitted.
  virtual std::int64_t not_admitted() = 0;
  /// TableSet::fast_counts.
  virtual std::optional<FastCounts> fast_counts() = 0;

  /// evaluate_split (evaluation.hpp).
  virtual SplitMetrics evaluate(
      DataReader& reader, const EvaluationPlan& plan = {},
      const std::function<void(const Batch&, const std::vector<float>&)>& each = {}) = 0;
  /// load_pretrained (pretrained.hpp).
  virtual std::int64_t load_rows_of(const Pretrained& from) = 0;
  /// checkpoint_content and load_checkpoint (training_checkpoint.hpp).
  virtual CheckpointContent content(const TrainingPosition& position) = 0;
  virtual TrainingPosition load(const std::string& path) = 0;

  /// Digests the stages of every step from now on (step_trace.hpp).
  virtual void trace_into(const std::string& path) = 0;
  /// What the trace has done; empty without one.
  virtual std::string trace_summary() const = 0;
};

/// Where a training runs.
struct Device {
  int cuda = -1;        ///< the number of a CUDA device on this machine; -1: a CPU
  std::string name{};   ///< of the CUDA device
  bool shared = false;  ///< ranks share the device: they exchange through host memory
};

}  // namespace keyshard
