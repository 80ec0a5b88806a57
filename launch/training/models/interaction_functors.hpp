// The products between the embeddings of a sample, as functors over samples.
#pragma once

#include <cstdint>

#include "launch/training/models/column_sums.hpp"
#include "runtime/columns.hpp"
#include "runtime/portable.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// See add_pairs. `squares` [n x dim] is scratch.
struct AddPairs {
  MatrixView<const float> factors;
  MatrixView<float> sums;
  MatrixView<float> squares;
  float* logits;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    constexpr int kColumns = columns_of_lane<Team>(16);
    const std::int64_t dim = sums.cols;
    const float* const row = factors.row(i);
    float* const sum = sums.row(i);
    float* const square = squares.row(i);
    for_columns<kColumns>(team, dim, [&](std::int64_t first, auto width) {
      float of_sum[kColumns] = {}, of_square[kColumns] = {};
      for (std::int64_t at = first; at < factors.cols; at += dim) {
        for (std::int64_t d = 0; d < width; ++d) {
          of_sum[d] += row[at + d];
          of_square[d] += row[at + d] * row[at + d];
        }
      }
      for (std::int64_t d = 0; d < width; ++d) {
        sum[first + d] = of_sum[d];
        square[first + d] = of_square[d];
      }
    });
    team.sync();
    if (team.thread_rank() == 0) {
      float pairs = 0;
      for (std::int64_t d = 0; d < dim; ++d) {
        pairs += sum[d] * sum[d] - square[d];
      }
      logits[i] += 0.5f * pairs;
    }
  }
};

/// See add_pairs_gradient.
struct AddPairsGradient {
  MatrixView<const float> factors;
  MatrixView<const float> sums;
  const float* slopes;
  MatrixView<float> gradient;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const std::int64_t dim = sums.cols;
    const float slope = slopes[i];
    const float* KEYSHARD_RESTRICT row = factors.row(i);
    const float* KEYSHARD_RESTRICT sum = sums.row(i);
    float* KEYSHARD_RESTRICT to = gradient.row(i);
    for (std::int64_t at = 0; at < factors.cols; at += dim) {
      for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
        to[at + d] += slope * (sum[d] - row[at + d]);
      }
    }
  }
};

/// to [n] = sum over i of weights[i * weight_stride] * rows[i * row_stride + k] for the lanes k < n
/// of a sum, sequential in i. `rows` may be read in whole pieces of kLanes numbers.
template <int kLanes>
KEYSHARD_HD KEYSHARD_INLINE void weighted_sum(std::int64_t terms, MatrixView<const float> weights,
                                              MatrixView<const float> rows, std::int64_t n,
                                              float* to) {
  float sums[kLanes] = {};
  for (std::int64_t i = 0; i < terms; ++i) {
    const float weight = weights.data[i * weights.stride];
    const float* row = rows.row(i);
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += weight * row[lane];
    }
  }
  for (std::int64_t lane = 0; lane < kLanes && lane < n; ++lane) {
    to[lane] = sums[lane];
  }
}

/// Where the embeddings of a sample lie: t_0 = z, t_k = v_k.
struct DotTerms {
  MatrixView<const float> z;
  MatrixView<const float> factors;
  std::int64_t count;
  std::int64_t dim;

  KEYSHARD_HD const float* of(std::int64_t sample, std::int64_t k) const {
    return k == 0 ? z.row(sample) : factors.row(sample) + (k - 1) * dim;
  }
};

/// See DotInteraction::forward. A row of `scratch` holds t_k[d] at (d, k), in rows of `stride`
/// numbers.
struct DotsOfRow {
  DotTerms terms;
  MatrixView<float> scratch;
  std::int64_t stride;
  MatrixView<float> top;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    constexpr int kLanes = columns_of_lane<Team>(16);
    const MatrixView<float> columns{scratch.row(i), terms.dim, terms.count, stride};
    for (std::int64_t d = team.thread_rank(); d < terms.dim; d += team.num_threads()) {
      for (std::int64_t k = 0; k < terms.count; ++k) {
        columns.row(d)[k] = terms.of(i, k)[d];
      }
      top.row(i)[d] = columns.row(d)[0];
    }
    team.sync();
    float* dots = top.row(i) + terms.dim;
    for (std::int64_t k = 1; k < terms.count; dots += k, ++k) {
      for (std::int64_t j = kLanes * team.thread_rank(); j < k; j += kLanes * team.num_threads()) {
        weighted_sum<kLanes>(terms.dim, {columns.data + k, terms.dim, 1, stride},
                             {columns.data + j, terms.dim, kLanes, stride}, k - j, dots + j);
      }
    }
  }
};

/// See DotInteraction::backward. A row of `terms_scratch` holds t_k[d] at (k, d), one of
/// `slopes_scratch` the gradient of t_k . t_j at (k, j) and (j, k), each in rows of its stride;
/// what is not written is 0.
struct DotGradientsOfRow {
  DotTerms terms;
  MatrixView<float> terms_scratch;
  std::int64_t terms_stride;
  MatrixView<float> slopes_scratch;
  std::int64_t slopes_stride;
  MatrixView<const float> top;
  MatrixView<float> z;
  MatrixView<float> factors;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    constexpr int kLanes = columns_of_lane<Team>(16);
    const std::int64_t count = terms.count, dim = terms.dim;
    const MatrixView<float> rows{terms_scratch.row(i), count, dim, terms_stride};
    const MatrixView<float> slopes{slopes_scratch.row(i), count, count, slopes_stride};
    for (std::int64_t k = 0; k < count; ++k) {
      const float* term = terms.of(i, k);
      const float* slope = top.row(i) + dim + k * (k - 1) / 2;
      for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
        rows.row(k)[d] = term[d];
      }
      for (std::int64_t j = team.thread_rank(); j < k; j += team.num_threads()) {
        slopes.row(k)[j] = slopes.row(j)[k] = slope[j];
      }
    }
    team.sync();
    for (std::int64_t k = 0; k < count; ++k) {
      float* to = k == 0 ? z.row(i) : factors.row(i) + (k - 1) * dim;
      for (std::int64_t d = kLanes * team.thread_rank(); d < dim;
           d += kLanes * team.num_threads()) {
        weighted_sum<kLanes>(count, {slopes.row(k), count, 1, 1},
                             {rows.data + d, count, kLanes, terms_stride}, dim - d, to + d);
      }
    }
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      z.row(i)[d] += top.row(i)[d];
    }
  }
};

}  // namespace keyshard
