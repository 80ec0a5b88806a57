// The bodies of CrossNetwork, for any device.
#pragma once

#include <string>

#include "launch/training/models/additive_functors.hpp"
#include "launch/training/models/column_sums.hpp"
#include "launch/training/models/cross_functors.hpp"
#include "launch/training/models/cross_network.hpp"
#include "launch/training/models/gemm.hpp"

namespace keyshard {

template <Backend B>
CrossNetwork<B>::CrossNetwork(const CrossShape& shape, ModelLayout& layout) : shape_(shape) {
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t cols,
                       InitialValue initial) {
    return layout.parameters.add(name, rows, cols, initial);
  };
  for (std::int64_t l = 1; l <= shape.layers; ++l) {
    const std::string suffix = "cross" + std::to_string(l);
    Layer layer;
    if (shape.rank == 0) {
      layer.weight = add("W" + suffix, shape.width, shape.width, InitialValue::glorot_uniform);
    } else {
      layer.into = add("V" + suffix, shape.width, shape.rank, InitialValue::glorot_uniform);
      layer.out = add("U" + suffix, shape.rank, shape.width, InitialValue::glorot_uniform);
    }
    layer.bias = add("b" + suffix, 1, shape.width, InitialValue::zeros);
    layers_.push_back(layer);
  }
}

template <Backend B>
void CrossNetwork<B>::multiply_layer(const Pass<B>& pass, const Layer& layer,
                                     CrossTrace& trace) const {
  if (shape_.rank == 0) {
    multiply(pass.queue, pass.group, trace.input, pass.parameter(layer.weight), trace.product);
    return;
  }
  trace.inner = pass.workspace.matrix(trace.input.rows, shape_.rank);
  multiply(pass.queue, pass.group, trace.input, pass.parameter(layer.into), trace.inner);
  multiply(pass.queue, pass.group, trace.inner, pass.parameter(layer.out), trace.product);
}

template <Backend B>
std::vector<CrossTrace> CrossNetwork<B>::forward(const Pass<B>& pass,
                                                 MatrixView<const float> first) const {
  std::vector<CrossTrace> traces;
  MatrixView<const float> input = first;
  for (const Layer& layer : layers_) {
    CrossTrace trace;
    trace.input = input;
    trace.product = pass.workspace.matrix(first.rows, shape_.width);
    trace.output = pass.workspace.matrix(first.rows, shape_.width);
    multiply_layer(pass, layer, trace);
    for_each_row(
        pass.queue, first.rows,
        CrossRow{first, input, pass.parameter(layer.bias).data, trace.product, trace.output});
    input = trace.output;
    traces.push_back(trace);
  }
  return traces;
}

template <Backend B>
void CrossNetwork<B>::add_input_gradient(const Pass<B>& pass, const Layer& layer,
                                         const CrossTrace& trace,
                                         MatrixView<const float> of_product,
                                         MatrixView<float> gradient) const {
  const std::int64_t n = gradient.rows;
  const MatrixView<float> of_input = pass.workspace.matrix(n, shape_.width);
  if (shape_.rank == 0) {
    multiply_transposed_left(pass.queue, pass.group, trace.input, of_product,
                             pass.gradient(layer.weight));
    multiply_transposed_right(pass.queue, pass.group, of_product, pass.parameter(layer.weight),
                              of_input);
  } else {
    const MatrixView<float> of_inner = pass.workspace.matrix(n, shape_.rank);
    multiply_transposed_left(pass.queue, pass.group, trace.inner, of_product,
                             pass.gradient(layer.out));
    multiply_transposed_right(pass.queue, pass.group, of_product, pass.parameter(layer.out),
                              of_inner);
    multiply_transposed_left(pass.queue, pass.group, trace.input, of_inner,
                             pass.gradient(layer.into));
    multiply_transposed_right(pass.queue, pass.group, of_inner, pass.parameter(layer.into),
                              of_input);
  }
  for_each_row(pass.queue, n, AddToRow{of_input, gradient});
}

template <Backend B>
void CrossNetwork<B>::backward(const Pass<B>& pass, const std::vector<CrossTrace>& trace,
                               MatrixView<float> gradient) const {
  const std::int64_t n = gradient.rows;
  const MatrixView<const float> first = trace.front().input;
  const MatrixView<float> of_first = pass.workspace.matrix(n, shape_.width);
  for_each_row(pass.queue, n, FillRow{of_first, 0.0f});
  for (std::size_t l = layers_.size(); l-- > 0;) {
    const MatrixView<float> of_product = pass.workspace.matrix(n, shape_.width);
    for_each_row(pass.queue, n,
                 CrossGradientRow{gradient, first, trace[l].product, of_first, of_product});
    for_each_row(pass.queue, pass.group.slices(),
                 SumRows{of_product, pass.group.runs, pass.gradient(layers_[l].bias)});
    add_input_gradient(pass, layers_[l], trace[l], of_product, gradient);
  }
  for_each_row(pass.queue, n, AddToRow{of_first, gradient});
}

}  // namespace keyshard
