// The bodies of DlrmModel, for any device.
#pragma once

#include "launch/training/models/additive_functors.hpp"
#include "launch/training/models/dlrm_model.hpp"
#include "launch/training/models/interaction_impl.hpp"
#include "launch/training/models/mlp_impl.hpp"
#include "launch/training/models/model_impl.hpp"

namespace keyshard {

template <Backend B>
DlrmModel<B>::DlrmModel(const ModelOptions& options, const ModelShape& shape)
    : Model<B>(options),
      dots_(static_cast<std::int64_t>(shape.factor_dims.size()), shape.factor_dims.front()),
      bottom_(make_bottom(shape)),
      top_(this->network("", dots_.outputs(), options.hidden), this->layout_) {}

template <Backend B>
Mlp<B> DlrmModel<B>::make_bottom(const ModelShape& shape) {
  MlpShape bottom = this->network("bottom", shape.dense_columns, this->options_.bottom);
  bottom.outputs = shape.factor_dims.front();
  bottom.relu_outputs = true;
  return Mlp<B>(bottom, this->layout_);
}

template <Backend B>
void DlrmModel<B>::run(const Pass<B>& pass, const GroupInput& input,
                       const GroupOutput& output) const {
  const std::int64_t n = input.group.samples();
  const MatrixView<const float> dense{input.dense.data, n, input.dense.cols, input.dense.stride};
  const MlpTrace bottom = bottom_.forward(pass, dense);
  const MatrixView<float> interaction = pass.workspace.matrix(n, dots_.outputs());
  dots_.forward(pass, bottom.back().output, input.factors, interaction);
  const MlpTrace top = top_.forward(pass, interaction);
  for_each(pass.queue, n, TakeOutputs{top.back().output, output.logits});
  if (pass.training()) {
    backward(pass, input, bottom, top, output);
  }
}

template <Backend B>
void DlrmModel<B>::backward(const Pass<B>& pass, const GroupInput& input, const MlpTrace& bottom,
                            const MlpTrace& top, const GroupOutput& output) const {
  const std::int64_t n = input.group.samples();
  const MatrixView<float> slope{this->slopes(pass, input, output), n, 1, 1};
  const MatrixView<float> d_interaction = pass.workspace.matrix(n, dots_.outputs());
  top_.input_gradient(pass, top_.backward(pass, top, slope), 0, d_interaction);

  const MatrixView<float> z = bottom.back().output;
  const MatrixView<float> d_z = pass.workspace.matrix(n, z.cols);
  dots_.backward(pass, z, input.factors, {d_interaction, d_z, output.factors});

  const MatrixView<float> first = bottom_.backward(pass, bottom, d_z);
  if (output.dense.data != nullptr) {
    bottom_.input_gradient(pass, first, 0, output.dense);
  }
}

}  // namespace keyshard
