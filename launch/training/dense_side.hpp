// The dense side of a training step on this rank: the model over its slices, and the update of the
// parameters by all ranks. One slice is one thread's work and has its own gradient; gradients are
// folded over slices, each rank steps a chunk of the parameters, and the chunks are gathered.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "collectives/folded_sum.hpp"
#include "io/batch.hpp"
#include "launch/training/dense_optimizer.hpp"
#include "launch/training/models/model.hpp"
#include "runtime/buffer.hpp"

namespace keyshard {

/// The embeddings of a batch, or their gradients: one row per sample.
template <class T>
struct PooledViews {
  MatrixView<T> factors;
  MatrixView<T> linear;
};

/// A part of the dense state, whole.
struct DensePart {
  std::string name;
  std::vector<float> values;
};

class DenseSide {
 public:
  DenseSide(const ModelOptions& options, const ModelShape& shape, Communicator<Cpu>& communicator,
            Stream<Cpu>& stream, std::int64_t slices, std::uint64_t seed);

  /// Loss and gradients of this rank's slices. Returns the mean loss of the global batch.
  /// Collective.
  double forward_backward(const Batch& batch, const StepContext& context,
                          const PooledViews<const float>& pooled,
                          const PooledViews<float>& gradients);

  /// The gradients [parameters] of the last forward_backward over the i-th slice of this rank;
  /// empty where it had no samples.
  Span<const float> slice_gradients(std::int64_t i) const;

  /// Folds the gradients of the last forward_backward and steps the parameters. Collective. Throws
  /// Error{non_finite}.
  void update(float learning_rate_scale);

  /// Evaluation: logits [samples] of this rank's samples.
  void predict(const Batch& batch, const PooledViews<const float>& pooled, float* logits);

  const Model& model() const noexcept { return *model_; }

  Model& model() noexcept { return *model_; }

  std::vector<float>& weights() noexcept { return weights_; }

  /// Weights, optimizer states and batch-norm statistics, in a fixed order, on every rank.
  /// Collective.
  std::vector<DensePart> parts();
  /// Takes up weights and states (whole) of a checkpoint.
  void restore(const std::vector<float>& weights, const std::vector<std::vector<float>>& states);

  DenseOptimizer& optimizer() noexcept { return optimizer_; }

 private:
  std::vector<NodePartial<float>> fold_nodes(Buffer<float, Cpu>& partials,
                                             const std::vector<char>& present, const float* slices,
                                             std::int64_t size);
  void update_statistics();

  Communicator<Cpu>& communicator_;
  Stream<Cpu>& stream_;
  std::int64_t slices_;
  Range run_;
  std::unique_ptr<Model> model_;
  std::vector<float> weights_;
  FoldedSum<float, Cpu> sum_;
  FoldedSum<float, Cpu> statistics_sum_;
  DenseOptimizer optimizer_;
  std::vector<Workspace> workspaces_;    // one per thread
  Buffer<float, Cpu> slice_gradients_;   // [slices of this rank x parameters]
  Buffer<float, Cpu> slice_statistics_;  // [slices of this rank x statistics]
  std::vector<char> present_;            // slices with samples
  std::vector<char> has_statistics_;
};

}  // namespace keyshard
