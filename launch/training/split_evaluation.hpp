// The metrics of a split, batch after batch: those of all samples, and what an EvaluationPlan asks
// for besides.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/batch.hpp"
#include "io/data_reader.hpp"
#include "launch/training/evaluation_plan.hpp"
#include "launch/training/models/value_metrics.hpp"

namespace keyshard {

/// The ids of one feature, of which a sample has at most one.
class GroupColumn {
 public:
  /// Throws Error{invalid_argument} where the data have no such feature; an empty name asks for
  /// none.
  GroupColumn(const DataSchema& schema, const std::string& name);

  bool asked() const noexcept { return feature_ >= 0; }

  GroupId of(const Batch& batch, std::int64_t sample);

  /// Throws Error{invalid_argument} where a sample had several ids.
  void require_one_id() const;

 private:
  std::string name_;
  std::int64_t feature_ = -1;
  std::int64_t most_ids_ = 0;
};

class SplitEvaluation {
 public:
  /// Of the slices `run` of `slices`, those of this rank. What `plan` names is borrowed. Throws
  /// Error{invalid_argument} where the plan names no feature of the schema.
  SplitEvaluation(Loss loss, std::int64_t slices, Range run, const DataSchema& schema,
                  const EvaluationPlan& plan);

  /// Adds a batch with the logits of its samples. Where the batch keeps one cell of each sample,
  /// that cell names the value of the sample (with_names_of_values).
  void add(const Batch& batch, const std::vector<float>& logits, ThreadPool& threads);

  /// The metrics of everything that was added on any rank, on every rank. Collective. Throws
  /// Error{invalid_argument} on all ranks where a sample had several ids of a named feature.
  SplitMetrics result(Communicator<Cpu>& communicator, Stream<Cpu>& stream);

 private:
  Loss loss_;
  EvaluationPlan plan_;
  GroupColumn gauc_;
  GroupColumn by_;
  MetricsAccumulator of_all_;
  MetricsAccumulator of_unseen_;
  ValueAccumulator of_values_;
};

}  // namespace keyshard
