// The bodies of DcnModel, for any device.
#pragma once

#include "launch/training/models/cross_network_impl.hpp"
#include "launch/training/models/dcn_model.hpp"
#include "launch/training/models/mlp_impl.hpp"
#include "launch/training/models/model_impl.hpp"

namespace keyshard {

template <Backend B>
DcnModel<B>::DcnModel(const ModelOptions& options, const ModelShape& shape)
    : Model<B>(options),
      width_(shape.factor_columns() + shape.dense_columns),
      cross_({width_, options.cross_layers, options.cross_rank}, this->layout_),
      deep_(this->network("", width_, options.hidden), this->layout_) {
  if (!options.stacked) {
    cross_weight_ = this->layout_.parameters.add("wcross", width_, 1, InitialValue::glorot_uniform);
  }
}

template <Backend B>
void DcnModel<B>::run(const Pass<B>& pass, const GroupInput& input,
                      const GroupOutput& output) const {
  const std::int64_t n = input.group.samples();
  const MatrixView<float> first = pass.workspace.matrix(n, width_);
  for_each_row(pass.queue, n, ConcatenateRow{input.factors, input.dense, first});
  const std::vector<CrossTrace> cross = cross_.forward(pass, first);
  const MatrixView<const float> crossed = cross.back().output;
  const bool stacked = cross_weight_ < 0;
  const MlpTrace deep = deep_.forward(pass, stacked ? crossed : first);
  for_each(pass.queue, n, TakeOutputs{deep.back().output, output.logits});
  if (!stacked) {
    const MatrixView<float> term = pass.workspace.matrix(n, 1);
    multiply(pass.queue, pass.group, crossed, pass.parameter(cross_weight_), term);
    for_each(pass.queue, n, AddOutputs{term, output.logits});
  }
  if (pass.training()) {
    const MatrixView<float> slopes{this->slopes(pass, input, output), n, 1, 1};
    for_each_row(pass.queue, n,
                 SplitRow{backward(pass, cross, deep, slopes), output.factors, output.dense});
  }
}

/// d loss / d x_0.
template <Backend B>
MatrixView<float> DcnModel<B>::backward(const Pass<B>& pass, const std::vector<CrossTrace>& cross,
                                        const MlpTrace& deep, MatrixView<float> slopes) const {
  const std::int64_t n = slopes.rows;
  const MatrixView<float> of_crossed = pass.workspace.matrix(n, width_);
  if (cross_weight_ < 0) {
    deep_.input_gradient(pass, deep_.backward(pass, deep, slopes), 0, of_crossed);
    cross_.backward(pass, cross, of_crossed);
    return of_crossed;
  }
  multiply_transposed_left(pass.queue, pass.group, cross.back().output, slopes,
                           pass.gradient(cross_weight_));
  multiply_transposed_right(pass.queue, pass.group, slopes, pass.parameter(cross_weight_),
                            of_crossed);
  cross_.backward(pass, cross, of_crossed);
  const MatrixView<float> of_first = pass.workspace.matrix(n, width_);
  deep_.input_gradient(pass, deep_.backward(pass, deep, slopes), 0, of_first);
  for_each_row(pass.queue, n, AddToRow{of_first, of_crossed});
  return of_crossed;
}

}  // namespace keyshard
