// The dense models: from the pooled embeddings and dense columns of a group of slices to their
// logits, losses and gradients. The arithmetic of a slice depends on that slice alone, and each
// slice has results of its own; DenseSide adds slices up, steps the parameters and communicates. A
// model holds no numbers: parameters and running statistics are arguments. All memory that is
// passed to a model is memory of the device, unless said otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "launch/training/models/loss.hpp"
#include "launch/training/models/mlp.hpp"
#include "launch/training/models/model_options.hpp"
#include "launch/training/models/model_shape.hpp"
#include "launch/training/models/pass.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// The n samples of a group; borrowed. Views of columns that the model does not read stay empty.
struct GroupInput {
  SliceGroup group;
  MatrixView<const float> factors;               ///< [n x sum of factor_dims]
  MatrixView<const float> linear;                ///< [n x features]
  MatrixView<const float> dense;                 ///< [n x dense_columns]
  const float* labels = nullptr;                 ///< [n]; may be null in `forward`
  const float* weights = nullptr;                ///< [n], or null: all 1
  const std::int64_t* sample_numbers = nullptr;  ///< [n] in the global batch; null as labels
};

/// Where the results of a group go. All memory is the caller's and is written, not added to.
struct GroupOutput {
  float* logits = nullptr;      ///< [n]
  MatrixView<float> factors;    ///< d loss / d factors
  MatrixView<float> linear;     ///< d loss / d linear
  MatrixView<float> dense;      ///< d loss / d dense; empty: not computed
  float* parameters = nullptr;  ///< [slices x parameters().size()]: d loss / d parameters
  /// [slices x statistics_size()], for `update_statistics`; written where has_statistics holds
  float* batch_statistics = nullptr;
  double* losses = nullptr;  ///< [slices]: sum of weight * loss, before the division
};

template <Backend B>
class Model {
 public:
  virtual ~Model() = default;

  const Parameters& parameters() const noexcept { return layout_.parameters; }

  Loss loss() const noexcept { return options_.loss; }

  /// The layout of the running statistics of all batch norms; empty without batch norm.
  const Parameters& statistics() const noexcept { return layout_.statistics; }

  /// Running means and variances before the first step.
  std::vector<float> initial_statistics() const { return layout_.statistics.initial_values(0); }

  std::int64_t statistics_size() const noexcept { return layout_.statistics.size(); }

  /// Whether a slice of so many samples has batch statistics; if not, their fold skips the slice.
  bool has_statistics(std::int64_t samples) const noexcept {
    return statistics_size() > 0 && samples >= SliceStatistics::kLeastSamples;
  }

  /// Moves the running `statistics` by one step. `folded` is the fold of the batch statistics over
  /// the slices that have them, `present` the number of these slices; with 0 nothing happens.
  void update_statistics(Stream<B>& stream, const float* folded, std::int64_t present,
                         float* statistics) const;

  /// Adds l2 W to the gradient of every weight matrix, on the numbers `chunk` of the flat vectors:
  /// gradient [chunk.size()], parameters [parameters().size()]. Once per step, after the fold.
  void add_l2(Stream<B>& stream, const float* parameters, Range chunk, float* gradient) const;

  /// Evaluation: logits [n], by running statistics and without dropout. Thread-safe if each thread
  /// has its own queue and workspace; ordered on the queue.
  void forward(TaskQueue<B>& queue, Workspace<B>& workspace, const ModelNumbers& numbers,
               const GroupInput& input, float* logits) const;

  /// Training: logits, losses and all gradients of each slice. Gradients are those of the loss
  /// divided by valid_samples. Threads and order as for `forward`.
  void forward_backward(TaskQueue<B>& queue, Workspace<B>& workspace, const ModelNumbers& numbers,
                        const StepContext& context, const GroupInput& input,
                        const GroupOutput& output) const;

 protected:
  explicit Model(const ModelOptions& options) : options_(options) {}

  /// The shape of a network, with the options that all networks of the model share.
  MlpShape network(std::string suffix, std::int64_t inputs, std::vector<std::int64_t> hidden) const;

  /// Writes the logits and, in training, all gradients.
  virtual void run(const Pass<B>& pass, const GroupInput& input,
                   const GroupOutput& output) const = 0;

  /// d loss / d logit [n], in the workspace.
  float* slopes(const Pass<B>& pass, const GroupInput& input, const GroupOutput& output) const;

  LossSamples loss_samples(const GroupInput& input, const float* logits) const {
    return {options_.loss, logits, input.labels, input.weights};
  }

  const ModelOptions options_;
  ModelLayout layout_;
};

/// Makes a model. Throws as require_fitting_shape does.
template <Backend B>
std::unique_ptr<Model<B>> make_model(const ModelOptions& options, const ModelShape& shape);

}  // namespace keyshard
