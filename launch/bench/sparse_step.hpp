// The sparse part of a training step through the library's public API: one lookup over all features
// of a workload, with one table for all of them or one for each.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "embedding/lookup/lookup.hpp"
#include "embedding/rows/table_set.hpp"
#include "launch/bench/context.hpp"
#include "launch/training/step_clock.hpp"

namespace keyshard {

struct SparseOptions {
  std::int64_t dim = 16;
  Optimizer optimizer;
  Initializer initializer = Constant{};
  bool table_per_feature = false;
  PoolOrder pool_order = PoolOrder::bag;
  ExchangeMode exchange = ExchangeMode::rows;
  std::int64_t slices = 16;  ///< of the global batch
};

/// The optimizers of the benchmark, as the peers have them: rate 0.05, epsilon 1e-7, from 0.
Optimizer bench_adagrad();
Optimizer bench_rowwise_adagrad();

/// Gives the keys that `table` owns on this rank rows of filled_value, without state. Keys may come
/// several times.
void fill_rows(Stream<Cpu>& stream, Table<Cpu>& table, Span<const Key> keys);

class SparseStep {
 public:
  /// Steps on the batches of this rank; `whole` are those of all ranks. All are borrowed. The bags
  /// are summed. Collective.
  SparseStep(Communicator<Cpu>& communicator, Stream<Cpu>& stream, const IdBatches& own,
             const SparseOptions& options);

  /// Makes a row of every key of `whole` (of table_keys where there are any) that this rank owns:
  /// filled_value, no state.
  void fill(const IdBatches& whole);

  /// Inference: pooled rows into `pooled`.
  void lookup(std::int64_t step);
  /// Forward, backward with fill_gradients, and one optimizer step.
  void train(std::int64_t step);

  Span<const float> pooled() const { return pooled_.span(); }  ///< [samples x features x dim]

  Span<const float> gradients() const { return gradients_.span(); }

  const LookupTraffic& traffic() const { return traffic_; }

  /// The parts of `train` so far: "lookup 40 % backward 30 % update 30 %".
  std::string shares() const;

  /// Rows of this rank.
  std::int64_t rows() const;

  TableSet<Cpu>& tables() noexcept { return tables_; }

 private:
  LookupInput input(std::int64_t step) const;
  LookupTrace<Cpu> forward(std::int64_t step, bool training);

  Stream<Cpu>& stream_;
  const IdBatches& own_;
  SparseOptions options_;
  Range run_;
  std::vector<std::int64_t> slice_offsets_;
  TableSet<Cpu> tables_;
  std::unique_ptr<Lookup<Cpu>> lookup_;
  Buffer<float, Cpu> pooled_;
  Buffer<float, Cpu> gradients_;
  LookupTraffic traffic_;
  StepClock clock_;
};

}  // namespace keyshard
