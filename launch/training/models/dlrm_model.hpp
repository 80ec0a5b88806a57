// DLRM: z = relu(MLP_bottom(x)) in R^D; t = (z, v_1, ..., v_F); dots t_i . t_j for i > j; logit =
// MLP_top(concat(z, dots)). Without dense columns z is a learned constant, so that its dots are
// linear terms of the features.
// Source: Naumov et al., arXiv:1906.00091.
#pragma once

#include "launch/training/models/interaction.hpp"
#include "launch/training/models/model.hpp"

namespace keyshard {

class DlrmModel : public Model {
 public:
  /// Expects a shape that fits the model.
  DlrmModel(const ModelOptions& options, const ModelShape& shape);

 private:
  void run(const Pass& pass, const SliceInput& input, const SliceOutput& output) const override;

  Mlp make_bottom(const ModelShape& shape);
  void backward(const Pass& pass, const SliceInput& input, const MlpTrace& bottom,
                const MlpTrace& top, const SliceOutput& output) const;

  DotInteraction dots_;
  Mlp bottom_;
  Mlp top_;
};

}  // namespace keyshard
