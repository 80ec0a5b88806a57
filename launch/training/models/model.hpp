// The dense models: from the pooled embeddings and dense columns of one slice to its logits, loss
// and gradients. A model works on one slice in one thread, and its arithmetic depends on that slice
// alone; adding slices up, stepping and communicating is the trainer's. It owns its running
// statistics; its parameters are given to it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "launch/training/models/loss.hpp"
#include "launch/training/models/mlp.hpp"
#include "launch/training/models/model_options.hpp"
#include "launch/training/models/workspace.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// What a model is fed with.
struct ModelShape {
  std::vector<std::string> features;      ///< names, for messages
  std::vector<std::int64_t> factor_dims;  ///< of each feature; empty where no factors are wanted
  std::int64_t dense_columns = 0;

  std::int64_t factor_columns() const;
};

/// The samples of one slice, n of them; borrowed. Views of columns that the model does not want are
/// left empty.
struct SliceInput {
  MatrixView<const float> factors;          ///< [n x sum of factor_dims], feature after feature
  MatrixView<const float> linear;           ///< [n x features]
  MatrixView<const float> dense;            ///< [n x dense_columns]
  Span<const float> labels;                 ///< [n]; may be empty in `forward`
  Span<const float> weights;                ///< [n], or empty: all 1
  Span<const std::int64_t> sample_numbers;  ///< [n] in the global batch
};

/// Where a slice's results go. All memory is the caller's and is written, not added to.
struct SliceOutput {
  float* logits = nullptr;            ///< [n]
  MatrixView<float> factors;          ///< d loss / d factors
  MatrixView<float> linear;           ///< d loss / d linear
  MatrixView<float> dense;            ///< d loss / d dense; left empty where nobody wants it
  float* parameters = nullptr;        ///< d loss / d parameters [parameters().size()]
  float* batch_statistics = nullptr;  ///< [statistics().size()], for `update_statistics`
};

/// What forward_backward says about a slice.
struct SliceResult {
  double loss_sum = 0;          ///< of weight * loss, before the division by valid_samples
  bool has_statistics = false;  ///< batch_statistics were written; if not, the slice is absent in
                                ///< their fold
};

class Model {
 public:
  virtual ~Model() = default;

  const Parameters& parameters() const noexcept { return layout_.parameters; }

  Loss loss() const noexcept { return options_.loss; }

  /// Running means and variances of all batch norms, for digest, save and load; empty without batch
  /// norm. The same on every rank.
  Span<float> statistics() noexcept { return layout_.statistics; }

  Span<const float> statistics() const noexcept { return layout_.statistics; }

  /// Moves the running statistics by one step. `folded` [statistics().size()] is the fold of the
  /// batch_statistics over the slices that have them, `present` their number; nothing happens if it
  /// is 0.
  void update_statistics(Span<const float> folded, std::int64_t present);

  /// Adds l2 W to the gradient of every weight matrix, on the numbers `chunk` of the flat vectors:
  /// gradient [chunk.size()], parameters [parameters().size()]. Once per step, after the fold.
  void add_l2(const float* parameters, Range chunk, float* gradient) const;

  /// Evaluation: logits [n], by running statistics and without dropout. Thread-safe, with a
  /// workspace per thread.
  void forward(const SliceInput& input, const float* parameters, Workspace& workspace,
               float* logits) const;

  /// Training: logits, loss and all gradients of one slice, of the loss divided by valid_samples.
  /// Thread-safe, with a workspace per thread.
  SliceResult forward_backward(const SliceInput& input, const float* parameters,
                               const StepContext& context, Workspace& workspace,
                               const SliceOutput& output) const;

 protected:
  explicit Model(const ModelOptions& options) : options_(options) {}

  /// The shape of a network with the options of all of them.
  MlpShape network(std::string suffix, std::int64_t inputs, std::vector<std::int64_t> hidden) const;

  /// Writes the logits and, in training, all gradients.
  virtual void run(const Pass& pass, const SliceInput& input, const SliceOutput& output) const = 0;

  /// d loss / d logit [n], in the workspace.
  float* slopes(const Pass& pass, const SliceInput& input, const SliceOutput& output) const;

  const ModelOptions options_;
  ModelLayout layout_;
};

/// Makes a model. Throws Error{invalid_argument} naming the features where it cannot be made of
/// them: fm, mf, deepfm and dlrm need features of one dimension, mf exactly two features and no
/// dense columns.
std::unique_ptr<Model> make_model(const ModelOptions& options, const ModelShape& shape);

}  // namespace keyshard
