#include "launch/models/interaction.hpp"

#include <algorithm>

namespace keyshard {
namespace {

/// to [dim] = the sum of the parts of a row, each taken by `term`.
template <class Term>
void sum_parts(const float* row, std::int64_t cols, std::int64_t dim, const Term& term, float* to) {
  std::fill_n(to, dim, 0.0f);
  for (std::int64_t at = 0; at < cols; at += dim) {
    for (std::int64_t d = 0; d < dim; ++d) {
      to[d] += term(row[at + d]);
    }
  }
}

/// to [dim x terms] = the terms of one sample, transposed: to[d][k] = t_k[d].
void transpose_terms(const float* z, const float* factors, std::int64_t terms,
                     MatrixView<float> to) {
  for (std::int64_t d = 0; d < to.rows; ++d) {
    float* row = to.row(d);
    row[0] = z[d];
    for (std::int64_t k = 1; k < terms; ++k) {
      row[k] = factors[(k - 1) * to.rows + d];
    }
  }
}

}  // namespace

void add_pairs(MatrixView<const float> factors, Workspace& workspace, MatrixView<float> sums,
               float* logits) {
  const std::int64_t dim = sums.cols;
  float* squares = workspace.floats(dim);
  for (std::int64_t i = 0; i < factors.rows; ++i) {
    float* sum = sums.row(i);
    sum_parts(
        factors.row(i), factors.cols, dim, [](float v) { return v; }, sum);
    sum_parts(
        factors.row(i), factors.cols, dim, [](float v) { return v * v; }, squares);
    float pairs = 0;
    for (std::int64_t d = 0; d < dim; ++d) {
      pairs += sum[d] * sum[d] - squares[d];
    }
    logits[i] += 0.5f * pairs;
  }
}

void add_pairs_gradient(MatrixView<const float> factors, MatrixView<const float> sums,
                        const float* slopes, MatrixView<float> gradient) {
  const std::int64_t dim = sums.cols;
  for (std::int64_t i = 0; i < factors.rows; ++i) {
    const float* row = factors.row(i);
    const float* sum = sums.row(i);
    float* to = gradient.row(i);
    for (std::int64_t at = 0; at < factors.cols; at += dim) {
      for (std::int64_t d = 0; d < dim; ++d) {
        to[at + d] += slopes[i] * (sum[d] - row[at + d]);
      }
    }
  }
}

void DotInteraction::forward(MatrixView<const float> z, MatrixView<const float> factors,
                             Workspace& workspace, MatrixView<float> top) const {
  const MatrixView<float> columns = workspace.matrix(dim_, terms_);
  for (std::int64_t i = 0; i < z.rows; ++i) {
    transpose_terms(z.row(i), factors.row(i), terms_, columns);
    float* to = top.row(i);
    std::copy_n(z.row(i), dim_, to);
    to += dim_;
    for (std::int64_t k = 1; k < terms_; to += k, ++k) {
      std::fill_n(to, k, 0.0f);
      for (std::int64_t d = 0; d < dim_; ++d) {
        const float* column = columns.row(d);
        const float own = column[k];
        for (std::int64_t j = 0; j < k; ++j) {
          to[j] += own * column[j];
        }
      }
    }
  }
}

void DotInteraction::backward(MatrixView<const float> z, MatrixView<const float> factors,
                              Workspace& workspace, const Gradients& gradients) const {
  const MatrixView<float> terms = workspace.matrix(1, terms_ * dim_);
  const MatrixView<float> slopes = workspace.matrix(1, terms_ * dim_);
  for (std::int64_t i = 0; i < z.rows; ++i) {
    std::copy_n(z.row(i), dim_, terms.data);
    std::copy_n(factors.row(i), factors.cols, terms.data + dim_);
    const float* upstream = gradients.top.row(i);
    std::fill_n(slopes.data, terms_ * dim_, 0.0f);
    std::copy_n(upstream, dim_, slopes.data);
    upstream += dim_;
    for (std::int64_t k = 1; k < terms_; upstream += k, ++k) {
      for (std::int64_t j = 0; j < k; ++j) {
        const float slope = upstream[j];
        for (std::int64_t d = 0; d < dim_; ++d) {
          slopes.data[k * dim_ + d] += slope * terms.data[j * dim_ + d];
          slopes.data[j * dim_ + d] += slope * terms.data[k * dim_ + d];
        }
      }
    }
    std::copy_n(slopes.data, dim_, gradients.z.row(i));
    std::copy_n(slopes.data + dim_, factors.cols, gradients.factors.row(i));
  }
}

}  // namespace keyshard
