// The sparse part of a training step through the library's public API: one lookup over all features
// of a workload, with one table for all of them or one for each. The ids lie on the device before
// the first step.
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
  ValueDtype value_dtype = ValueDtype::float32;
  std::int64_t slices = 16;  ///< of the global batch
  double max_norm = 0;       ///< as GroupOptions and TableOptions have the next three
  RestrictPolicy restrict_policy = {};
  std::int64_t admit_after = 0;
  bool weighted = false;  ///< every id has the weight 1
};

/// The optimizers of the benchmark: rate 0.05, epsilon 1e-7, states from 0.
Optimizer bench_adagrad();
Optimizer bench_rowwise_adagrad();

/// Makes a row of filled_value, without state, for each of `keys` that `table` owns on this rank.
/// Keys may repeat; they lie on the host.
template <Backend B>
void fill_rows(Stream<B>& stream, Table<B>& table, Span<const Key> keys);

template <Backend B>
class SparseStep {
 public:
  /// Steps on `own`, the batches of this rank. All arguments but `options` are borrowed. Bags are
  /// pooled by sum. Collective.
  SparseStep(Communicator<B>& communicator, Stream<B>& stream, const IdBatches& own,
             const SparseOptions& options);

  /// Makes a row of filled_value, without state, for every key of `whole` that this rank owns (for
  /// those of its table_keys alone, where there are any). `whole` has the batches of all ranks.
  void fill(const IdBatches& whole);

  /// Inference: pooled rows into `pooled`.
  void lookup(std::int64_t step);
  /// Forward, backward with fill_gradients, and one optimizer step.
  void train(std::int64_t step);

  /// [samples x features x dim], on the device, as are the gradients.
  Span<const float> pooled() const { return pooled_.span(); }

  Span<const float> gradients() const { return gradients_.span(); }

  const LookupTraffic& traffic() const { return traffic_; }

  /// The parts of `train` so far: "lookup 40 % backward 30 % update 30 %".
  std::string shares() const;

  /// Rows of this rank.
  std::int64_t rows() const;

  TableSet<B>& tables() noexcept { return tables_; }

 private:
  LookupInput input(std::int64_t step) const;
  LookupTrace<B> forward(std::int64_t step, bool training);

  Stream<B>& stream_;
  const IdBatches& own_;
  SparseOptions options_;
  Range run_;
  std::vector<std::int64_t> slice_offsets_;
  Buffer<Key, B> keys_storage_;
  Buffer<std::int64_t, B> offsets_storage_;
  const Key* keys_;              // of own_, on the device
  const std::int64_t* offsets_;  // of own_, on the device
  Buffer<float, B> weights_;     // of the ids of any step
  TableSet<B> tables_;
  std::unique_ptr<Lookup<B>> lookup_;
  Buffer<float, B> pooled_;
  Buffer<float, B> gradients_;
  LookupTraffic traffic_;
  StepClock clock_;
};

}  // namespace keyshard
