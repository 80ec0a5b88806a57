#include "launch/training/models/dlrm_model.hpp"

#include <algorithm>

namespace keyshard {

DlrmModel::DlrmModel(const ModelOptions& options, const ModelShape& shape)
    : Model(options),
      dots_(static_cast<std::int64_t>(shape.factor_dims.size()), shape.factor_dims.front()),
      bottom_(make_bottom(shape)),
      top_(network("", dots_.outputs(), options.hidden), layout_) {}

Mlp DlrmModel::make_bottom(const ModelShape& shape) {
  MlpShape bottom = network("bottom", shape.dense_columns, options_.bottom);
  bottom.outputs = shape.factor_dims.front();
  bottom.relu_outputs = true;
  return Mlp(bottom, layout_);
}

void DlrmModel::run(const Pass& pass, const SliceInput& input, const SliceOutput& output) const {
  const std::int64_t n = input.factors.rows;
  const MatrixView<const float> dense{input.dense.data, n, input.dense.cols, input.dense.stride};
  const MlpTrace bottom = bottom_.forward(pass, dense);
  const MatrixView<float> interaction = pass.workspace.matrix(n, dots_.outputs());
  dots_.forward(bottom.back().output, input.factors, pass.workspace, interaction);
  const MlpTrace top = top_.forward(pass, interaction);
  for (std::int64_t i = 0; i < n; ++i) {
    output.logits[i] = *top.back().output.row(i);
  }
  if (pass.training()) {
    backward(pass, input, bottom, top, output);
  }
}

void DlrmModel::backward(const Pass& pass, const SliceInput& input, const MlpTrace& bottom,
                         const MlpTrace& top, const SliceOutput& output) const {
  const std::int64_t n = input.factors.rows;
  const MatrixView<float> slope{slopes(pass, input, output), n, 1, 1};
  const MatrixView<float> d_interaction = pass.workspace.matrix(n, dots_.outputs());
  top_.input_gradient(pass, top_.backward(pass, top, slope), 0, d_interaction);

  const MatrixView<float> z = bottom.back().output;
  const MatrixView<float> d_z = pass.workspace.matrix(n, z.cols);
  dots_.backward(z, input.factors, pass.workspace, {d_interaction, d_z, output.factors});

  const MatrixView<float> first = bottom_.backward(pass, bottom, d_z);
  if (output.dense.data != nullptr) {
    bottom_.input_gradient(pass, first, 0, output.dense);
  }
}

}  // namespace keyshard
