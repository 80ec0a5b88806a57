// A chain of dense layers: hidden layers with ReLU and, where configured, batch norm and dropout;
// then an output layer without batch norm and dropout, with ReLU only if `relu_outputs`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/training/models/dense_layer.hpp"
#include "launch/training/models/layout.hpp"

namespace keyshard {

/// Parameters are named W<suffix>1, b<suffix>1, gamma<suffix>1, beta<suffix>1, W<suffix>2, ...
struct MlpShape {
  std::string suffix;
  std::int64_t inputs = 0;
  std::vector<std::int64_t> hidden;
  std::int64_t outputs = 1;
  bool relu_outputs = false;
  bool batch_norm = false;
  double dropout = 0;
};

using MlpTrace = std::vector<LayerTrace>;

template <Backend B>
class Mlp {
 public:
  Mlp(const MlpShape& shape, ModelLayout& layout);

  /// The outputs [n x shape.outputs] are those of the last layer of the trace.
  MlpTrace forward(const Pass<B>& pass, MatrixView<const float> input) const;

  /// Takes d loss / d outputs, which it overwrites; writes the gradients of all parameters and
  /// returns what `input_gradient` needs.
  MatrixView<float> backward(const Pass<B>& pass, const MlpTrace& trace,
                             MatrixView<float> gradient) const;

  /// Columns [begin, begin + result.cols) of d loss / d input.
  void input_gradient(const Pass<B>& pass, MatrixView<const float> first, std::int64_t begin,
                      MatrixView<float> result) const;

 private:
  std::vector<DenseLayer<B>> layers_;
};

}  // namespace keyshard
