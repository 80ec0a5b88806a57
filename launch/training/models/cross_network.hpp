// The cross network of DCN-v2: from x_0, layer after layer, x_{l+1} = x_0 * (x_l W_l + b_l) + x_l,
// where * multiplies number by number. W_l is a matrix, or the product of two of low rank.
// Source: Wang et al., DCN V2, WWW 2021.
#pragma once

#include <cstdint>
#include <vector>

#include "launch/training/models/layout.hpp"
#include "launch/training/models/pass.hpp"

namespace keyshard {

/// Parameters are named Wcross1 [width x width], or Vcross1 [width x rank] and Ucross1
/// [rank x width], where W = V U; and bcross1 [1 x width]; then those of layer 2, ...
struct CrossShape {
  std::int64_t width = 0;
  std::int64_t layers = 1;
  std::int64_t rank = 0;  ///< 0: full
};

/// What backward needs of a layer.
struct CrossTrace {
  MatrixView<const float> input;
  MatrixView<float> inner;    ///< input V; empty with full rank
  MatrixView<float> product;  ///< input W + b
  MatrixView<float> output;
};

template <Backend B>
class CrossNetwork {
 public:
  CrossNetwork(const CrossShape& shape, ModelLayout& layout);

  /// The output [n x width] is that of the last layer of the trace.
  std::vector<CrossTrace> forward(const Pass<B>& pass, MatrixView<const float> first) const;

  /// d loss / d output [n x width] -> d loss / d x_0 in place; writes the gradients of all
  /// parameters.
  void backward(const Pass<B>& pass, const std::vector<CrossTrace>& trace,
                MatrixView<float> gradient) const;

 private:
  struct Layer {
    int weight = -1;  // full rank
    int into = -1;    // V
    int out = -1;     // U
    int bias = -1;
  };

  void multiply_layer(const Pass<B>& pass, const Layer& layer, CrossTrace& trace) const;
  void add_input_gradient(const Pass<B>& pass, const Layer& layer, const CrossTrace& trace,
                          MatrixView<const float> of_product, MatrixView<float> gradient) const;

  CrossShape shape_;
  std::vector<Layer> layers_;
};

}  // namespace keyshard
