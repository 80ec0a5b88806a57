#include "launch/training/models/dense_layer.hpp"

#include "launch/training/models/gemm.hpp"

namespace keyshard {
namespace {

void add_bias(MatrixView<float> m, const float* bias) {
  for (std::int64_t i = 0; i < m.rows; ++i) {
    float* row = m.row(i);
    for (std::int64_t j = 0; j < m.cols; ++j) {
      row[j] += bias[j];
    }
  }
}

/// A NaN stays one, so that it is noticed in the loss.
void rectify(float* row, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) {
    row[j] = 0.0f > row[j] ? 0.0f : row[j];
  }
}

/// An output above 0 was neither rectified nor dropped.
void pass_positive(MatrixView<const float> output, float scale, MatrixView<float> gradient) {
  for (std::int64_t i = 0; i < gradient.rows; ++i) {
    const float* out = output.row(i);
    float* row = gradient.row(i);
    for (std::int64_t j = 0; j < gradient.cols; ++j) {
      row[j] *= out[j] > 0.0f ? scale : 0.0f;
    }
  }
}

}  // namespace

DenseLayer::DenseLayer(const std::string& suffix, std::int64_t inputs, std::int64_t outputs,
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

LayerTrace DenseLayer::forward(const Pass& pass, MatrixView<const float> input) const {
  LayerTrace trace;
  trace.input = input;
  trace.output = pass.workspace.matrix(input.rows, outputs_);
  multiply(input, pass.parameter(weight_), trace.output);
  add_bias(trace.output, pass.parameter(bias_).data);
  if (batch_norm_) {
    trace.batch_norm = batch_norm_->forward(pass, trace.output);
  }
  activate(pass, trace.output);
  return trace;
}

void DenseLayer::activate(const Pass& pass, MatrixView<float> output) const {
  const bool drops = pass.training() && dropout_.active();
  for (std::int64_t i = 0; i < output.rows; ++i) {
    if (relu_) {
      rectify(output.row(i), outputs_);
    }
    if (drops) {
      const std::int64_t sample = pass.sample_numbers[static_cast<std::size_t>(i)];
      dropout_.apply(Dropout::row_key(pass.context.seed, pass.context.step, number_, sample),
                     output.row(i), outputs_);
    }
  }
}

void DenseLayer::backward(const Pass& pass, const LayerTrace& trace,
                          MatrixView<float> gradient) const {
  if (relu_) {
    pass_positive(trace.output, dropout_.scale(), gradient);
  }
  if (batch_norm_) {
    batch_norm_->backward(pass, trace.batch_norm, gradient);
  }
  sum_rows(gradient, pass.gradient(bias_).data);
  multiply_transposed_left(trace.input, gradient, pass.gradient(weight_));
}

void DenseLayer::input_gradient(const Pass& pass, MatrixView<const float> gradient,
                                std::int64_t begin, MatrixView<float> result) const {
  const MatrixView<const float> all = pass.parameter(weight_);
  const MatrixView<const float> rows{all.row(begin), result.cols, all.cols, all.stride};
  multiply_transposed_right(gradient, rows, result);
}

}  // namespace keyshard
