// The options of the dense side: the model, its layers, its loss and its optimizer. Read from
// [model] of a configuration, or filled in by a program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedding/layers/options.hpp"
#include "embedding/rules/optimizers.hpp"
#include "launch/training/models/loss.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

enum class ModelType { logistic, mlp, fm, mf, widedeep, deepfm, dlrm, dcnv2 };

struct ModelOptions {
  ModelType type = ModelType::deepfm;
  std::vector<std::int64_t> hidden = {256, 128};  ///< of the network; in dlrm: of the top
  std::vector<std::int64_t> bottom = {64};        ///< dlrm: hidden layers of the bottom network
  std::int64_t cross_layers = 3;                  ///< dcnv2
  std::int64_t cross_rank = 0;                    ///< dcnv2: of the matrices; 0: full rank
  bool stacked = true;                            ///< dcnv2: the network on the cross layers
  bool batch_norm = false;                        ///< in every hidden layer
  double batch_norm_momentum = 0.9;               ///< what a step keeps of the running statistics
  double dropout = 0;                             ///< of the units of every hidden layer, in [0, 1)
  float l2 = 0;  ///< added to the gradient of every weight matrix as l2 W, once per step
  Loss loss = Loss::log_loss;
  Optimizer optimizer = Adam{};  ///< of the dense parameters: any but rowwise_adagrad
};

const char* name_of(ModelType type);

/// Whether the model has a network, so that its layers can be configured.
bool has_network(ModelType type);

/// Whether the logit of the model has the pairs of a factorisation machine.
bool has_pairs(ModelType type);

/// The column groups of embeddings that the model reads: "factor", "linear" or both, in this order.
std::vector<std::string> column_groups(ModelType type);

/// The column groups that a configuration may describe for any model: "factor" in [embedding]
/// itself, "linear" (of one column, zeros) in [embedding.linear], whose optimizer, l2 and l2_per
/// are those of [embedding] unless it says otherwise. Those that column_groups(type) names are
/// marked as used.
std::vector<GroupDefaults> group_defaults(ModelType type);

/// Reads [model] and [model.optimizer], which may be one of `rules`. Problems are recorded in
/// `settings`.
ModelOptions read_model_options(Settings settings, const OwnRules& rules = no_own_rules());

}  // namespace keyshard
