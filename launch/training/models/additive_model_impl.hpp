// The bodies of AdditiveModel, for any device.
#pragma once

#include "launch/training/models/additive_functors.hpp"
#include "launch/training/models/additive_model.hpp"
#include "launch/training/models/interaction_impl.hpp"
#include "launch/training/models/mlp_impl.hpp"
#include "launch/training/models/model_impl.hpp"

namespace keyshard {

template <Backend B>
AdditiveModel<B>::AdditiveModel(const ModelOptions& options, const ModelShape& shape)
    : Model<B>(options),
      linear_(options.type != ModelType::mlp),
      factor_columns_(shape.factor_columns()) {
  ModelLayout& layout = this->layout_;
  if (linear_) {
    bias_ = layout.parameters.add("bias", 1, 1, InitialValue::zeros);
    if (shape.dense_columns > 0) {
      dense_weight_ = layout.parameters.add("wx", 1, shape.dense_columns, InitialValue::zeros);
    }
  }
  if (has_pairs(options.type)) {
    pairs_dim_ = shape.factor_dims.front();
  }
  if (has_network(options.type)) {
    deep_.emplace(this->network("", factor_columns_ + shape.dense_columns, options.hidden), layout);
  }
}

template <Backend B>
void AdditiveModel<B>::run(const Pass<B>& pass, const GroupInput& input,
                           const GroupOutput& output) const {
  const std::int64_t n = input.group.samples();
  if (linear_) {
    linear_forward(pass, input, output.logits);
  } else {
    for_each(pass.queue, n, FillNumbers{output.logits, 0.0f});
  }
  MatrixView<float> sums;
  if (pairs_dim_ > 0) {
    sums = pass.workspace.matrix(n, pairs_dim_);
    add_pairs(pass, input.factors, sums, output.logits);
  }
  MlpTrace trace;
  if (deep_) {
    trace = deep_forward(pass, input, output.logits);
  }
  if (!pass.training()) {
    return;
  }

  float* slope = this->slopes(pass, input, output);
  if (deep_) {
    deep_backward(pass, trace, slope, output);
  } else {
    for_each_row(pass.queue, output.factors.rows, FillRow{output.factors, 0.0f});
    for_each_row(pass.queue, output.dense.rows, FillRow{output.dense, 0.0f});
  }
  if (pairs_dim_ > 0) {
    add_pairs_gradient<B>(pass, input.factors, sums, slope, output.factors);
  }
  if (linear_) {
    linear_backward(pass, input, slope, output);
  }
}

template <Backend B>
void AdditiveModel<B>::linear_forward(const Pass<B>& pass, const GroupInput& input,
                                      float* logits) const {
  const float* weight = dense_weight_ < 0 ? nullptr : pass.parameter(dense_weight_).data;
  for_each(pass.queue, input.group.samples(),
           LinearTerms{input.dense, input.linear, pass.parameter(bias_).data, weight, logits});
}

template <Backend B>
void AdditiveModel<B>::linear_backward(const Pass<B>& pass, const GroupInput& input,
                                       const float* slopes, const GroupOutput& output) const {
  const std::int64_t n = input.group.samples();
  const SliceRuns& runs = input.group.runs;
  const bool dense = dense_weight_ >= 0;
  for_each_row(pass.queue, runs.slices, SumRows{{slopes, n, 1, 1}, runs, pass.gradient(bias_)});
  for_each_row(pass.queue, n,
               LinearGradientRow{slopes, dense ? pass.parameter(dense_weight_).data : nullptr,
                                 output.linear, output.dense});
  if (dense) {
    for_each_row(pass.queue, runs.slices,
                 SumSlopedRows{input.dense, slopes, runs, pass.gradient(dense_weight_)});
  }
}

template <Backend B>
MlpTrace AdditiveModel<B>::deep_forward(const Pass<B>& pass, const GroupInput& input,
                                        float* logits) const {
  const std::int64_t n = input.group.samples();
  const MatrixView<float> both = pass.workspace.matrix(n, input.factors.cols + input.dense.cols);
  for_each_row(pass.queue, n, ConcatenateRow{input.factors, input.dense, both});
  MlpTrace trace = deep_->forward(pass, both);
  for_each(pass.queue, n, AddOutputs{trace.back().output, logits});
  return trace;
}

template <Backend B>
void AdditiveModel<B>::deep_backward(const Pass<B>& pass, const MlpTrace& trace, float* slopes,
                                     const GroupOutput& output) const {
  const std::int64_t n = trace.back().output.rows;
  const MatrixView<float> first = deep_->backward(pass, trace, {slopes, n, 1, 1});
  deep_->input_gradient(pass, first, 0, output.factors);
  if (output.dense.data != nullptr) {
    deep_->input_gradient(pass, first, factor_columns_, output.dense);
  }
}

}  // namespace keyshard
