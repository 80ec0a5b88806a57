// The bodies of BatchNorm, for any device, and their functors.
#pragma once

#include <cmath>

#include "launch/training/models/batch_norm.hpp"
#include "launch/training/models/column_sums.hpp"

namespace keyshard {

/// Computes the statistics of a slice that has its own, and the inverse spread of every slice.
struct TakeStatistics {
  static constexpr float kEpsilon = 1e-5f;

  MatrixView<const float> z;
  SliceStatistics statistics;
  MatrixView<float> inverse_spread;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t slice, const Team& team) const {
    if (statistics.has_own(slice)) {
      take(slice, team);
    }
    const float* variance = statistics.of(slice) + z.cols;
    float* const inverse = inverse_spread.row(slice);
    for (std::int64_t j = team.thread_rank(); j < z.cols; j += team.num_threads()) {
      inverse[j] = 1.0f / std::sqrt(variance[j] + kEpsilon);
    }
  }

  /// Lane by lane the same columns as in operator().
  template <class Team>
  KEYSHARD_HD void take(std::int64_t slice, const Team& team) const {
    constexpr int kColumns = columns_of_lane<Team>(32);
    const Range samples = statistics.runs.samples_of(slice);
    const float n = static_cast<float>(samples.size());
    float* const to = statistics.own.of(slice).data;
    for_columns<kColumns>(team, z.cols, [&](std::int64_t first, auto width) {
      const float* const top = z.row(samples.begin) + first;
      float mean[kColumns] = {}, variance[kColumns] = {};
      for (std::int64_t d = 0; d < width; ++d) {
        mean[d] = top[d];
      }
      for (std::int64_t i = samples.begin + 1; i < samples.end; ++i) {
        const float* row = z.row(i) + first;
        for (std::int64_t d = 0; d < width; ++d) {
          mean[d] += row[d];
        }
      }
      for (std::int64_t d = 0; d < width; ++d) {
        mean[d] /= n;
        variance[d] = (top[d] - mean[d]) * (top[d] - mean[d]);
      }
      for (std::int64_t i = samples.begin + 1; i < samples.end; ++i) {
        const float* row = z.row(i) + first;
        for (std::int64_t d = 0; d < width; ++d) {
          variance[d] += (row[d] - mean[d]) * (row[d] - mean[d]);
        }
      }
      for (std::int64_t d = 0; d < width; ++d) {
        to[first + d] = mean[d];
        to[z.cols + first + d] = variance[d] / n;
      }
    });
  }
};

/// normalized = (z - mean) * inverse spread; z = gamma normalized + beta.
struct NormalizeRow {
  MatrixView<float> z;
  SliceStatistics statistics;
  MatrixView<const float> inverse_spread;
  const float* gamma;
  const float* beta;
  MatrixView<float> normalized;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const std::int64_t slice = statistics.runs.slice_of(i);
    const float* KEYSHARD_RESTRICT mean = statistics.of(slice);
    const float* KEYSHARD_RESTRICT inverse = inverse_spread.row(slice);
    float* KEYSHARD_RESTRICT row = z.row(i);
    float* KEYSHARD_RESTRICT to = normalized.row(i);
    for (std::int64_t j = team.thread_rank(); j < z.cols; j += team.num_threads()) {
      to[j] = (row[j] - mean[j]) * inverse[j];
      row[j] = gamma[j] * to[j] + beta[j];
    }
  }
};

/// The gradients of gamma and beta of a slice: sums over its samples. The sum of beta begins with
/// the first term, the sum of gamma with 0.
struct SumNormGradients {
  MatrixView<const float> gradient;
  MatrixView<const float> normalized;
  SliceRuns runs;
  SliceMatrices d_gamma;
  SliceMatrices d_beta;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t slice, const Team& team) const {
    constexpr int kColumns = columns_of_lane<Team>(32);
    const Range samples = runs.samples_of(slice);
    float* const to_gamma = d_gamma.of(slice).data;
    float* const to_beta = d_beta.of(slice).data;
    for_columns<kColumns>(team, gradient.cols, [&](std::int64_t first, auto width) {
      float gamma[kColumns] = {}, beta[kColumns] = {};
      for (std::int64_t i = samples.begin; i < samples.end; ++i) {
        const float* row = gradient.row(i) + first;
        const float* unit = normalized.row(i) + first;
        for (std::int64_t d = 0; d < width; ++d) {
          beta[d] = i == samples.begin ? row[d] : beta[d] + row[d];
          gamma[d] += row[d] * unit[d];
        }
      }
      for (std::int64_t d = 0; d < width; ++d) {
        to_gamma[first + d] = gamma[d];
        to_beta[first + d] = beta[d];
      }
    });
  }
};

/// Gradients flow through mean and variance only where the slice has statistics of its own.
struct PropagateNormRow {
  MatrixView<float> gradient;
  BatchNormTrace trace;
  SliceMatrices d_gamma;
  SliceMatrices d_beta;
  const float* gamma;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const SliceRuns& runs = trace.statistics.runs;
    const std::int64_t slice = runs.slice_of(i);
    const float share = trace.statistics.has_own(slice)
                            ? 1.0f / static_cast<float>(runs.samples_of(slice).size())
                            : 0.0f;
    const float* inverse = trace.inverse_spread.row(slice);
    const float* normalized = trace.normalized.row(i);
    const float* of_gamma = d_gamma.of(slice).data;
    const float* of_beta = d_beta.of(slice).data;
    float* KEYSHARD_RESTRICT row = gradient.row(i);
    for (std::int64_t j = team.thread_rank(); j < gradient.cols; j += team.num_threads()) {
      const float common = share * (of_beta[j] + normalized[j] * of_gamma[j]);
      row[j] = gamma[j] * inverse[j] * (row[j] - common);
    }
  }
};

template <Backend B>
BatchNorm<B>::BatchNorm(const std::string& suffix, std::int64_t units, ModelLayout& layout)
    : units_(units),
      statistics_(layout.statistics.size()),
      gamma_(layout.parameters.add("gamma" + suffix, 1, units, InitialValue::ones)),
      beta_(layout.parameters.add("beta" + suffix, 1, units, InitialValue::zeros)) {
  layout.statistics.add("mean" + suffix, 1, units, InitialValue::zeros);
  layout.statistics.add("variance" + suffix, 1, units, InitialValue::ones);
}

template <Backend B>
BatchNormTrace BatchNorm<B>::forward(const Pass<B>& pass, MatrixView<float> z) const {
  BatchNormTrace trace;
  SliceStatistics& statistics = trace.statistics;
  statistics.runs = pass.group.runs;
  statistics.running = pass.numbers.statistics + statistics_;
  if (pass.slice_statistics != nullptr) {
    statistics.own = {{pass.slice_statistics + statistics_, 1, 2 * units_, 2 * units_},
                      pass.statistics_size};
  }
  trace.inverse_spread = pass.workspace.matrix(pass.group.slices(), units_);
  trace.normalized = pass.workspace.matrix(z.rows, units_);
  for_each_row(pass.queue, pass.group.slices(),
               TakeStatistics{z, statistics, trace.inverse_spread});
  for_each_row(pass.queue, z.rows,
               NormalizeRow{z, statistics, trace.inverse_spread, pass.parameter(gamma_).data,
                            pass.parameter(beta_).data, trace.normalized});
  return trace;
}

template <Backend B>
void BatchNorm<B>::backward(const Pass<B>& pass, const BatchNormTrace& trace,
                            MatrixView<float> gradient) const {
  const SliceMatrices d_gamma = pass.gradient(gamma_), d_beta = pass.gradient(beta_);
  for_each_row(pass.queue, pass.group.slices(),
               SumNormGradients{gradient, trace.normalized, pass.group.runs, d_gamma, d_beta});
  for_each_row(pass.queue, gradient.rows,
               PropagateNormRow{gradient, trace, d_gamma, d_beta, pass.parameter(gamma_).data});
}

}  // namespace keyshard
