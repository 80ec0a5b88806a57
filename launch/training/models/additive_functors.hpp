// The terms of a logit that is a sum, as functors over samples and slices.
#pragma once

#include <cstdint>

#include "launch/training/models/column_sums.hpp"
#include "runtime/portable.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// to (i) = left (i), right (i), side by side.
struct ConcatenateRow {
  MatrixView<const float> left;
  MatrixView<const float> right;
  MatrixView<float> to;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    for (std::int64_t j = team.thread_rank(); j < left.cols; j += team.num_threads()) {
      to.row(i)[j] = left.row(i)[j];
    }
    for (std::int64_t j = team.thread_rank(); j < right.cols; j += team.num_threads()) {
      to.row(i)[left.cols + j] = right.row(i)[j];
    }
  }
};

/// Fills row i.
struct FillRow {
  MatrixView<float> rows;
  float value;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    for (std::int64_t j = team.thread_rank(); j < rows.cols; j += team.num_threads()) {
      rows.row(i)[j] = value;
    }
  }
};

/// logits[i] = bias + x . wx + sum_f w_f, sequential in this order; without wx where it is null.
struct LinearTerms {
  MatrixView<const float> dense;
  MatrixView<const float> linear;
  const float* bias;
  const float* dense_weight;
  float* logits;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    float logit = *bias;
    if (dense_weight != nullptr) {
      const float* x = dense.row(i);
      for (std::int64_t j = 0; j < dense.cols; ++j) {
        logit += x[j] * dense_weight[j];
      }
    }
    const float* w = linear.row(i);
    for (std::int64_t f = 0; f < linear.cols; ++f) {
      logit += w[f];
    }
    logits[i] = logit;
  }
};

/// linear(i) = slope(i) in every column; dense(i) += slope(i) wx, unless `dense` is empty.
struct LinearGradientRow {
  const float* slopes;
  const float* dense_weight;
  MatrixView<float> linear;
  MatrixView<float> dense;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const float slope = slopes[i];
    for (std::int64_t f = team.thread_rank(); f < linear.cols; f += team.num_threads()) {
      linear.row(i)[f] = slope;
    }
    if (dense_weight != nullptr) {
      for (std::int64_t j = team.thread_rank(); j < dense.cols; j += team.num_threads()) {
        dense.row(i)[j] += slope * dense_weight[j];
      }
    }
  }
};

/// sums.of(slice) [1 x cols] = sum of slope * row over the samples of the slice, in order from 0.
struct SumSlopedRows {
  MatrixView<const float> rows;
  const float* slopes;
  SliceRuns runs;
  SliceMatrices sums;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t slice, const Team& team) const {
    constexpr int kColumns = columns_of_lane<Team>(16);
    const Range samples = runs.samples_of(slice);
    float* const to = sums.of(slice).data;
    for_columns<kColumns>(team, rows.cols, [&](std::int64_t first, auto width) {
      float sum[kColumns] = {};
      for (std::int64_t i = samples.begin; i < samples.end; ++i) {
        const float* row = rows.row(i) + first;
        for (std::int64_t d = 0; d < width; ++d) {
          sum[d] += slopes[i] * row[d];
        }
      }
      for (std::int64_t d = 0; d < width; ++d) {
        to[first + d] = sum[d];
      }
    });
  }
};

/// logits[i] = outputs(i, 0).
struct TakeOutputs {
  MatrixView<const float> outputs;
  float* logits;

  KEYSHARD_HD void operator()(std::int64_t i) const { logits[i] = *outputs.row(i); }
};

/// logits[i] += outputs(i, 0).
struct AddOutputs {
  MatrixView<const float> outputs;
  float* logits;

  KEYSHARD_HD void operator()(std::int64_t i) const { logits[i] += *outputs.row(i); }
};

}  // namespace keyshard
