// The dense side of a training step on this rank: the model over its slices, and the update of the
// parameters by all ranks. Each slice has its own gradient; gradients are folded over slices, each
// rank steps a chunk of the parameters, and the chunks are gathered.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/folded_sum.hpp"
#include "io/batch.hpp"
#include "launch/training/batch_columns.hpp"
#include "launch/training/dense_optimizer.hpp"
#include "launch/training/models/model.hpp"
#include "launch/training/models/slice_tasks.hpp"
#include "runtime/buffer.hpp"

namespace keyshard {

/// A part of the dense state, whole.
struct DensePart {
  std::string name;
  std::vector<float> values;
};

/// The numbers of a dense side, each whole.
struct DenseValues {
  std::vector<float> weights;
  std::vector<std::vector<float>> states;  ///< of the optimizer
  std::vector<float> statistics;           ///< of batch norm
};

template <Backend B>
class DenseSide {
 public:
  DenseSide(const ModelOptions& options, const ModelShape& shape, Communicator<B>& communicator,
            Stream<B>& stream, std::int64_t slices, std::uint64_t seed);

  /// Loss and gradients of this rank's slices. Returns the mean loss of the global batch.
  /// Collective.
  double forward_backward(const Batch& batch, const StepContext& context,
                          const PooledViews<const float>& pooled,
                          const PooledViews<float>& gradients);

  /// The gradients [parameters] of the last forward_backward over the i-th slice of this rank, in
  /// memory of the device; empty where the slice had no samples.
  Span<const float> slice_gradients(std::int64_t i) const;

  /// Folds the gradients of the last forward_backward and steps the parameters. Collective. Throws
  /// Error{non_finite}.
  void update(float learning_rate_scale);

  /// Evaluation: the logits [samples] of this rank's samples, on the host.
  std::vector<float> predict(const Batch& batch, const PooledViews<const float>& pooled);

  const Model<B>& model() const noexcept { return *model_; }

  /// The parameters, in memory of the device; the same on every rank.
  Buffer<float, B>& weights() noexcept { return weights_; }

  /// Weights, optimizer states and batch-norm statistics, in a fixed order, on every rank.
  /// Collective.
  std::vector<DensePart> parts();
  /// Throws Error{corrupt_data} where the values of a checkpoint are not as many as those here.
  void check(const DenseValues& values) const;
  /// Sets all numbers to those of a checkpoint, after `check`.
  void restore(const DenseValues& values);

  DenseOptimizer<B>& optimizer() noexcept { return optimizer_; }

 private:
  void note_presence(const BatchColumns<B>& columns);
  GroupOutput output_of(Range slices, Range samples, const PooledViews<float>& gradients);
  std::vector<NodePartial<float>> fold_nodes(Buffer<float, B>& partials,
                                             const std::vector<char>& present, const float* slices,
                                             std::int64_t size);
  void require_finite(const Buffer<float, B>& gradients);
  void update_statistics();

  ModelNumbers numbers() const { return {weights_.data(), statistics_.data()}; }

  Communicator<B>& communicator_;
  Stream<B>& stream_;
  std::int64_t slices_;
  Range run_;
  std::unique_ptr<Model<B>> model_;
  Buffer<float, B> weights_;
  Buffer<float, B> statistics_;  // running
  FoldedSum<float, B> sum_;
  FoldedSum<float, B> statistics_sum_;
  DenseOptimizer<B> optimizer_;
  std::vector<Workspace<B>> workspaces_;
  Buffer<float, B> slice_gradients_;   // [slices of this rank x parameters]
  Buffer<float, B> slice_statistics_;  // [slices of this rank x statistics]
  Buffer<double, B> slice_losses_;     // [slices of this rank], unused for those without samples
  std::vector<char> present_;          // slices with samples
  std::vector<char> has_statistics_;
};

}  // namespace keyshard
