// The bodies of DenseLayer, for any device, and their functors.
#pragma once

#include "launch/training/models/batch_norm_impl.hpp"
#include "launch/training/models/column_sums.hpp"
#include "launch/training/models/dense_layer.hpp"
#include "launch/training/models/gemm.hpp"

namespace keyshard {

/// rows(i) += row.
struct AddRow {
  const float* row;
  MatrixView<float> rows;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const float* KEYSHARD_RESTRICT add = row;
    float* KEYSHARD_RESTRICT to = rows.row(i);
    for (std::int64_t j = team.thread_rank(); j < rows.cols; j += team.num_threads()) {
      to[j] += add[j];
    }
  }
};

/// Adds `bias` to a row, unless `bias` is null; then ReLU if `relu`, then dropout if `drops`.
struct ActivateRow {
  MatrixView<float> output;
  const float* bias;
  bool relu;
  bool drops;
  Dropout dropout;
  StepContext context;
  int layer;
  const std::int64_t* sample_numbers;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    if (bias != nullptr) {
      AddRow{bias, output}(i, team);
    }
    float* row = output.row(i);
    if (relu) {
      // A NaN stays a NaN, so that the loss shows it.
      for (std::int64_t j = team.thread_rank(); j < output.cols; j += team.num_threads()) {
        row[j] = 0.0f > row[j] ? 0.0f : row[j];
      }
    }
    if (drops) {
      dropout.apply(team, Dropout::row_key(context.seed, context.step, layer, sample_numbers[i]),
                    row, output.cols);
    }
  }
};

/// The gradient passes where an output is above 0: such an output was neither rectified nor
/// dropped.
struct PassPositiveRow {
  MatrixView<const float> output;
  float scale;
  MatrixView<float> gradient;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const float kept = scale;
    const float* KEYSHARD_RESTRICT out = output.row(i);
    float* KEYSHARD_RESTRICT row = gradient.row(i);
    for (std::int64_t j = team.thread_rank(); j < gradient.cols; j += team.num_threads()) {
      row[j] *= out[j] > 0.0f ? kept : 0.0f;
    }
  }
};

template <Backend B>
DenseLayer<B>::DenseLayer(const std::string& suffix, std::int64_t inputs, std::int64_t outputs,
                          const Activation& activation, ModelLayout& layout)
    : outputs_(outputs),
      relu_(activation.relu),
      number_(layout.layers++),
      weight_(layout.parameters.add("W" + suffix, inputs, outputs, InitialValue::glorot_uniform)),
      bias_(layout.parameters.add("b" + suffix, 1, outputs, InitialValue::zeros)),
      dropout_(activation.dropout) {
  if (activation.batch_norm) {
    batch_norm_.emplace(suffix, outputs, layout);
  }
}

template <Backend B>
LayerTrace DenseLayer<B>::forward(const Pass<B>& pass, MatrixView<const float> input) const {
  LayerTrace trace;
  trace.input = input;
  trace.output = pass.workspace.matrix(input.rows, outputs_);
  multiply(pass.queue, pass.group, input, pass.parameter(weight_), trace.output);
  const float* bias = pass.parameter(bias_).data;
  if (batch_norm_) {
    for_each_row(pass.queue, input.rows, AddRow{bias, trace.output});
    trace.batch_norm = batch_norm_->forward(pass, trace.output);
    bias = nullptr;
  }
  activate(pass, bias, trace.output);
  return trace;
}

template <Backend B>
void DenseLayer<B>::activate(const Pass<B>& pass, const float* bias,
                             MatrixView<float> output) const {
  for_each_row(pass.queue, output.rows,
               ActivateRow{.output = output,
                           .bias = bias,
                           .relu = relu_,
                           .drops = pass.training() && dropout_.active(),
                           .dropout = dropout_,
                           .context = pass.context,
                           .layer = number_,
                           .sample_numbers = pass.sample_numbers});
}

template <Backend B>
void DenseLayer<B>::backward(const Pass<B>& pass, const LayerTrace& trace,
                             MatrixView<float> gradient) const {
  if (relu_) {
    for_each_row(pass.queue, gradient.rows,
                 PassPositiveRow{trace.output, dropout_.scale(), gradient});
  }
  if (batch_norm_) {
    batch_norm_->backward(pass, trace.batch_norm, gradient);
  }
  for_each_row(pass.queue, pass.group.slices(),
               SumRows{gradient, pass.group.runs, pass.gradient(bias_)});
  multiply_transposed_left(pass.queue, pass.group, trace.input, gradient, pass.gradient(weight_));
}

template <Backend B>
void DenseLayer<B>::input_gradient(const Pass<B>& pass, MatrixView<const float> gradient,
                                   std::int64_t begin, MatrixView<float> result) const {
  const MatrixView<const float> all = pass.parameter(weight_);
  const MatrixView<const float> rows{all.row(begin), result.cols, all.cols, all.stride};
  multiply_transposed_right(pass.queue, pass.group, gradient, rows, result);
}

}  // namespace keyshard
