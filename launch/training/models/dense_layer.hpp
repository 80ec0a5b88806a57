// One layer of a network: y = h W + b, and in a hidden layer then batch norm, ReLU and dropout, in
// this order. Forward returns what backward needs; all memory is the workspace of the pass.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "launch/training/models/batch_norm.hpp"
#include "launch/training/models/dropout.hpp"
#include "launch/training/models/pass.hpp"

namespace keyshard {

struct LayerTrace {
  MatrixView<const float> input;
  MatrixView<float> output;
  BatchNormTrace batch_norm;
};

/// What follows the product.
struct Activation {
  bool batch_norm = false;
  bool relu = false;
  double dropout = 0;
};

template <Backend B>
class DenseLayer {
 public:
  /// Adds W<suffix> [inputs x outputs], b<suffix> and what batch norm needs to `layout`.
  DenseLayer(const std::string& suffix, std::int64_t inputs, std::int64_t outputs,
             const Activation& activation, ModelLayout& layout);

  std::int64_t outputs() const { return outputs_; }

  LayerTrace forward(const Pass<B>& pass, MatrixView<const float> input) const;

  /// d loss / d output [n x outputs] -> d loss / d (h W) in place; writes the gradients of the
  /// layer's parameters.
  void backward(const Pass<B>& pass, const LayerTrace& trace, MatrixView<float> gradient) const;

  /// Columns [begin, begin + result.cols) of d loss / d input, from what `backward` left.
  void input_gradient(const Pass<B>& pass, MatrixView<const float> gradient, std::int64_t begin,
                      MatrixView<float> result) const;

 private:
  /// Adds `bias`, unless `bias` is null, then applies ReLU and dropout where the layer has them.
  void activate(const Pass<B>& pass, const float* bias, MatrixView<float> output) const;

  std::int64_t outputs_;
  bool relu_;
  int number_;
  int weight_;
  int bias_;
  std::optional<BatchNorm<B>> batch_norm_;
  Dropout dropout_;
};

}  // namespace keyshard
