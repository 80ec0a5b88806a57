// DLRM: z = relu(MLP_bottom(x)) in R^D; t = (z, v_1, ..., v_F); dots t_i . t_j for i > j; logit =
// MLP_top(concat(z, dots)). Without dense columns z is a learned constant, so that its dots are
// linear terms of the features.
// Source: Naumov et al., arXiv:1906.00091.
#pragma once

#include "launch/training/models/interaction.hpp"
#include "launch/training/models/model.hpp"

namespace keyshard {

template <Backend B>
class DlrmModel : public Model<B> {
 public:
  /// Expects a shape that fits the model.
  DlrmModel(const ModelOptions& options, const ModelShape& shape);

 private:
  void run(const Pass<B>& pass, const GroupInput& input, const GroupOutput& output) const override;

  Mlp<B> make_bottom(const ModelShape& shape);
  void backward(const Pass<B>& pass, const GroupInput& input, const MlpTrace& bottom,
                const MlpTrace& top, const GroupOutput& output) const;

  DotInteraction<B> dots_;
  Mlp<B> bottom_;
  Mlp<B> top_;
};

}  // namespace keyshard
