#include "launch/training/models/interaction.hpp"

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

/// Sums that are taken together, in registers.
constexpr std::int64_t kLanes = 16;

/// to [kLanes] = sum over i of factor(i) * row(i)[lane], sequential in i.
template <class Factor, class Row>
void weighted_sum(std::int64_t n, const Factor& factor, const Row& row, float* to) {
  float sums[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) {
    const float weight = factor(i);
    const float* terms = row(i);
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += weight * terms[lane];
    }
  }
  std::copy_n(sums, kLanes, to);
}

/// A matrix in the workspace whose rows may be read in whole lanes.
MatrixView<float> zeros(Workspace& workspace, std::int64_t rows, std::int64_t cols) {
  const MatrixView<float> m = workspace.matrix(rows, cols);
  std::fill_n(m.data, m.rows * m.stride, 0.0f);
  return m;
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
  const MatrixView<float> columns = zeros(workspace, dim_, terms_);  // t_k[d] at (d, k)
  for (std::int64_t i = 0; i < z.rows; ++i) {
    for (std::int64_t d = 0; d < dim_; ++d) {
      columns.row(d)[0] = z.row(i)[d];
      for (std::int64_t k = 1; k < terms_; ++k) {
        columns.row(d)[k] = factors.row(i)[(k - 1) * dim_ + d];
      }
    }
    std::copy_n(z.row(i), dim_, top.row(i));
    float* dots = top.row(i) + dim_;
    for (std::int64_t k = 1; k < terms_; dots += k, ++k) {
      for (std::int64_t j = 0; j < k; j += kLanes) {
        float sums[kLanes];
        weighted_sum(
            dim_, [&](std::int64_t d) { return columns.row(d)[k]; },
            [&](std::int64_t d) { return columns.row(d) + j; }, sums);
        std::copy_n(sums, std::min(kLanes, k - j), dots + j);
      }
    }
  }
}

void DotInteraction::backward(MatrixView<const float> z, MatrixView<const float> factors,
                              Workspace& workspace, const Gradients& gradients) const {
  const MatrixView<float> terms = zeros(workspace, terms_, dim_);
  const MatrixView<float> slopes =
      zeros(workspace, terms_, terms_);  // of t_k . t_j at (k, j), (j, k)
  for (std::int64_t i = 0; i < z.rows; ++i) {
    std::copy_n(z.row(i), dim_, terms.row(0));
    for (std::int64_t k = 1; k < terms_; ++k) {
      std::copy_n(factors.row(i) + (k - 1) * dim_, dim_, terms.row(k));
    }
    const float* slope = gradients.top.row(i) + dim_;
    for (std::int64_t k = 1; k < terms_; ++k) {
      for (std::int64_t j = 0; j < k; ++j, ++slope) {
        slopes.row(k)[j] = slopes.row(j)[k] = *slope;
      }
    }
    for (std::int64_t k = 0; k < terms_; ++k) {
      float* to = k == 0 ? gradients.z.row(i) : gradients.factors.row(i) + (k - 1) * dim_;
      for (std::int64_t d = 0; d < dim_; d += kLanes) {
        float sums[kLanes];
        weighted_sum(
            terms_, [&](std::int64_t j) { return slopes.row(k)[j]; },
            [&](std::int64_t j) { return terms.row(j) + d; }, sums);
        std::copy_n(sums, std::min(kLanes, dim_ - d), to + d);
      }
    }
    for (std::int64_t d = 0; d < dim_; ++d) {
      gradients.z.row(i)[d] += gradients.top.row(i)[d];
    }
  }
}

}  // namespace keyshard
