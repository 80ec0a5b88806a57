// The row-wise parts of a cross network, as functors over samples.
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// product(i) += bias; next(i) = first(i) * product(i) + input(i), number by number.
struct CrossRow {
  MatrixView<const float> first;
  MatrixView<const float> input;
  const float* bias;
  MatrixView<float> product;
  MatrixView<float> next;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const float* KEYSHARD_RESTRICT add = bias;
    const float* KEYSHARD_RESTRICT x0 = first.row(i);
    const float* x = input.row(i);
    float* KEYSHARD_RESTRICT y = product.row(i);
    float* KEYSHARD_RESTRICT to = next.row(i);
    for (std::int64_t j = team.thread_rank(); j < next.cols; j += team.num_threads()) {
      y[j] += add[j];
      to[j] = x0[j] * y[j] + x[j];
    }
  }
};

/// From the gradient of `next`: of_first(i) += gradient(i) * product(i), of_product(i) =
/// gradient(i) * first(i).
struct CrossGradientRow {
  MatrixView<const float> gradient;
  MatrixView<const float> first;
  MatrixView<const float> product;
  MatrixView<float> of_first;
  MatrixView<float> of_product;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const float* KEYSHARD_RESTRICT g = gradient.row(i);
    const float* KEYSHARD_RESTRICT x0 = first.row(i);
    const float* KEYSHARD_RESTRICT y = product.row(i);
    float* KEYSHARD_RESTRICT to_first = of_first.row(i);
    float* KEYSHARD_RESTRICT to_product = of_product.row(i);
    for (std::int64_t j = team.thread_rank(); j < gradient.cols; j += team.num_threads()) {
      to_first[j] += g[j] * y[j];
      to_product[j] = g[j] * x0[j];
    }
  }
};

/// to(i) += from(i).
struct AddToRow {
  MatrixView<const float> from;
  MatrixView<float> to;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const float* KEYSHARD_RESTRICT add = from.row(i);
    float* KEYSHARD_RESTRICT sum = to.row(i);
    for (std::int64_t j = team.thread_rank(); j < to.cols; j += team.num_threads()) {
      sum[j] += add[j];
    }
  }
};

/// left(i), right(i) = the two parts of from(i), side by side; an empty part is left out.
struct SplitRow {
  MatrixView<const float> from;
  MatrixView<float> left;
  MatrixView<float> right;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    for (std::int64_t j = team.thread_rank(); j < left.cols; j += team.num_threads()) {
      left.row(i)[j] = from.row(i)[j];
    }
    for (std::int64_t j = team.thread_rank(); j < right.cols; j += team.num_threads()) {
      right.row(i)[j] = from.row(i)[left.cols + j];
    }
  }
};

}  // namespace keyshard
