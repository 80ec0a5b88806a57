#include "launch/training/models/batch_norm.hpp"

#include <cmath>

namespace keyshard {

BatchNorm::BatchNorm(const std::string& suffix, std::int64_t units, ModelLayout& layout)
    : units_(units),
      statistics_(layout.statistics.size()),
      gamma_(layout.parameters.add("gamma" + suffix, 1, units, InitialValue::ones)),
      beta_(layout.parameters.add("beta" + suffix, 1, units, InitialValue::zeros)) {
  const std::size_t width = static_cast<std::size_t>(units);
  layout.statistics.resize(statistics_ + width, 0.0f);
  layout.statistics.resize(statistics_ + 2 * width, 1.0f);
}

void BatchNorm::take_statistics(MatrixView<const float> z, float* statistics) const {
  const float n = static_cast<float>(z.rows);
  float* mean = statistics;
  sum_rows(z, mean);
  for (std::int64_t j = 0; j < units_; ++j) {
    mean[j] /= n;
  }
  float* variance = statistics + units_;
  for (std::int64_t i = 0; i < z.rows; ++i) {
    const float* row = z.row(i);
    for (std::int64_t j = 0; j < units_; ++j) {
      const float apart = row[j] - mean[j];
      variance[j] = i == 0 ? apart * apart : variance[j] + apart * apart;
    }
  }
  for (std::int64_t j = 0; j < units_; ++j) {
    variance[j] /= n;
  }
}

BatchNormTrace BatchNorm::forward(const Pass& pass, MatrixView<float> z) const {
  BatchNormTrace trace;
  const float* statistics = pass.statistics + statistics_;
  if (pass.slice_statistics != nullptr) {
    take_statistics(z, pass.slice_statistics + statistics_);
    statistics = pass.slice_statistics + statistics_;
    trace.of_slice = true;
  }
  float* inverse = pass.workspace.floats(units_);
  for (std::int64_t j = 0; j < units_; ++j) {
    inverse[j] = 1.0f / std::sqrt(statistics[units_ + j] + kEpsilon);
  }
  trace.inverse_spread = inverse;
  trace.normalized = pass.workspace.matrix(z.rows, units_);

  const float* gamma = pass.parameter(gamma_).data;
  const float* beta = pass.parameter(beta_).data;
  for (std::int64_t i = 0; i < z.rows; ++i) {
    float* row = z.row(i);
    float* normalized = trace.normalized.row(i);
    for (std::int64_t j = 0; j < units_; ++j) {
      normalized[j] = (row[j] - statistics[j]) * inverse[j];
      row[j] = gamma[j] * normalized[j] + beta[j];
    }
  }
  return trace;
}

void BatchNorm::backward(const Pass& pass, const BatchNormTrace& trace,
                         MatrixView<float> gradient) const {
  float* d_gamma = pass.gradient(gamma_).data;
  float* d_beta = pass.gradient(beta_).data;
  sum_rows(gradient, d_beta);
  for (std::int64_t j = 0; j < units_; ++j) {
    d_gamma[j] = 0;
  }
  for (std::int64_t i = 0; i < gradient.rows; ++i) {
    const float* row = gradient.row(i);
    const float* normalized = trace.normalized.row(i);
    for (std::int64_t j = 0; j < units_; ++j) {
      d_gamma[j] += row[j] * normalized[j];
    }
  }

  // Gradients flow through the mean and the variance where they are the slice's own.
  const float* gamma = pass.parameter(gamma_).data;
  const float share = trace.of_slice ? 1.0f / static_cast<float>(gradient.rows) : 0.0f;
  for (std::int64_t i = 0; i < gradient.rows; ++i) {
    float* row = gradient.row(i);
    const float* normalized = trace.normalized.row(i);
    for (std::int64_t j = 0; j < units_; ++j) {
      const float common = share * (d_beta[j] + normalized[j] * d_gamma[j]);
      row[j] = gamma[j] * trace.inverse_spread[j] * (row[j] - common);
    }
  }
}

}  // namespace keyshard
