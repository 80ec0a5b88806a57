// The bodies of Mlp, for any device.
#pragma once

#include "launch/training/models/dense_layer_impl.hpp"
#include "launch/training/models/mlp.hpp"

namespace keyshard {

template <Backend B>
Mlp<B>::Mlp(const MlpShape& shape, ModelLayout& layout) {
  std::int64_t inputs = shape.inputs;
  for (std::size_t i = 0; i <= shape.hidden.size(); ++i) {
    const bool hidden = i < shape.hidden.size();
    const std::int64_t outputs = hidden ? shape.hidden[i] : shape.outputs;
    const std::string suffix = shape.suffix + std::to_string(i + 1);
    Activation activation;
    activation.batch_norm = hidden && shape.batch_norm;
    activation.relu = hidden || shape.relu_outputs;
    activation.dropout = hidden ? shape.dropout : 0;
    layers_.emplace_back(suffix, inputs, outputs, activation, layout);
    inputs = outputs;
  }
}

template <Backend B>
MlpTrace Mlp<B>::forward(const Pass<B>& pass, MatrixView<const float> input) const {
  MlpTrace trace;
  trace.reserve(layers_.size());
  for (const DenseLayer<B>& layer : layers_) {
    trace.push_back(layer.forward(pass, input));
    input = trace.back().output;
  }
  return trace;
}

template <Backend B>
MatrixView<float> Mlp<B>::backward(const Pass<B>& pass, const MlpTrace& trace,
                                   MatrixView<float> gradient) const {
  for (std::size_t i = layers_.size(); i-- > 0;) {
    layers_[i].backward(pass, trace[i], gradient);
    if (i > 0) {
      const MatrixView<float> before =
          pass.workspace.matrix(gradient.rows, layers_[i - 1].outputs());
      layers_[i].input_gradient(pass, gradient, 0, before);
      gradient = before;
    }
  }
  return gradient;
}

template <Backend B>
void Mlp<B>::input_gradient(const Pass<B>& pass, MatrixView<const float> first, std::int64_t begin,
                            MatrixView<float> result) const {
  layers_.front().input_gradient(pass, first, begin, result);
}

}  // namespace keyshard
