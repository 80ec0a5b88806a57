#include "launch/training/models/additive_model.hpp"

#include <algorithm>

#include "launch/training/models/interaction.hpp"

namespace keyshard {
namespace {

bool has_pairs(ModelType type) {
  return type == ModelType::fm || type == ModelType::mf || type == ModelType::deepfm;
}

/// [n x factors + dense]: the input of the network.
MatrixView<const float> concatenate(const SliceInput& input, Workspace& workspace) {
  const std::int64_t factors = input.factors.cols;
  const MatrixView<float> both = workspace.matrix(input.factors.rows, factors + input.dense.cols);
  for (std::int64_t i = 0; i < both.rows; ++i) {
    std::copy_n(input.factors.row(i), factors, both.row(i));
    std::copy_n(input.dense.row(i), input.dense.cols, both.row(i) + factors);
  }
  return both;
}

void fill_zeros(MatrixView<float> m) {
  for (std::int64_t i = 0; i < m.rows; ++i) {
    std::fill_n(m.row(i), m.cols, 0.0f);
  }
}

}  // namespace

AdditiveModel::AdditiveModel(const ModelOptions& options, const ModelShape& shape)
    : Model(options),
      linear_(options.type != ModelType::mlp),
      factor_columns_(shape.factor_columns()) {
  if (linear_) {
    bias_ = layout_.parameters.add("bias", 1, 1, InitialValue::zeros);
    if (shape.dense_columns > 0) {
      dense_weight_ = layout_.parameters.add("wx", 1, shape.dense_columns, InitialValue::zeros);
    }
  }
  if (has_pairs(options.type)) {
    pairs_dim_ = shape.factor_dims.front();
  }
  if (has_network(options.type)) {
    deep_.emplace(network("", factor_columns_ + shape.dense_columns, options.hidden), layout_);
  }
}

void AdditiveModel::run(const Pass& pass, const SliceInput& input,
                        const SliceOutput& output) const {
  const std::int64_t n = static_cast<std::int64_t>(input.sample_numbers.size());
  std::fill_n(output.logits, n, 0.0f);
  if (linear_) {
    linear_forward(pass, input, output.logits);
  }
  MatrixView<float> sums;
  if (pairs_dim_ > 0) {
    sums = pass.workspace.matrix(n, pairs_dim_);
    add_pairs(input.factors, pass.workspace, sums, output.logits);
  }
  MlpTrace trace;
  if (deep_) {
    trace = deep_forward(pass, input, output.logits);
  }
  if (!pass.training()) {
    return;
  }

  float* slope = slopes(pass, input, output);
  if (deep_) {
    deep_backward(pass, trace, slope, output);
  } else {
    fill_zeros(output.factors);
    fill_zeros(output.dense);
  }
  if (pairs_dim_ > 0) {
    add_pairs_gradient(input.factors, sums, slope, output.factors);
  }
  if (linear_) {
    linear_backward(pass, input, slope, output);
  }
}

void AdditiveModel::linear_forward(const Pass& pass, const SliceInput& input, float* logits) const {
  const float bias = pass.parameter(bias_).data[0];
  const float* weight = dense_weight_ < 0 ? nullptr : pass.parameter(dense_weight_).data;
  for (std::int64_t i = 0; i < input.linear.rows; ++i) {
    float logit = bias;
    if (weight != nullptr) {
      const float* x = input.dense.row(i);
      for (std::int64_t j = 0; j < input.dense.cols; ++j) {
        logit += x[j] * weight[j];
      }
    }
    const float* w = input.linear.row(i);
    for (std::int64_t f = 0; f < input.linear.cols; ++f) {
      logit += w[f];
    }
    logits[i] = logit;
  }
}

void AdditiveModel::linear_backward(const Pass& pass, const SliceInput& input, const float* slopes,
                                    const SliceOutput& output) const {
  const std::int64_t n = input.linear.rows;
  sum_rows({slopes, n, 1, 1}, pass.gradient(bias_).data);
  for (std::int64_t i = 0; i < n; ++i) {
    std::fill_n(output.linear.row(i), output.linear.cols, slopes[i]);
  }
  if (dense_weight_ < 0) {
    return;
  }
  float* gradient = pass.gradient(dense_weight_).data;
  const float* weight = pass.parameter(dense_weight_).data;
  std::fill_n(gradient, input.dense.cols, 0.0f);
  for (std::int64_t i = 0; i < n; ++i) {
    const float* x = input.dense.row(i);
    for (std::int64_t j = 0; j < input.dense.cols; ++j) {
      gradient[j] += slopes[i] * x[j];
    }
    for (std::int64_t j = 0; j < output.dense.cols; ++j) {
      output.dense.row(i)[j] += slopes[i] * weight[j];
    }
  }
}

MlpTrace AdditiveModel::deep_forward(const Pass& pass, const SliceInput& input,
                                     float* logits) const {
  MlpTrace trace = deep_->forward(pass, concatenate(input, pass.workspace));
  const MatrixView<float> deep = trace.back().output;
  for (std::int64_t i = 0; i < deep.rows; ++i) {
    logits[i] += *deep.row(i);
  }
  return trace;
}

void AdditiveModel::deep_backward(const Pass& pass, const MlpTrace& trace, float* slopes,
                                  const SliceOutput& output) const {
  const std::int64_t n = trace.back().output.rows;
  const MatrixView<float> first = deep_->backward(pass, trace, {slopes, n, 1, 1});
  deep_->input_gradient(pass, first, 0, output.factors);
  if (output.dense.data != nullptr) {
    deep_->input_gradient(pass, first, factor_columns_, output.dense);
  }
}

}  // namespace keyshard
