// reduce_axis.hpp with a combiner of the program: dense vectors [B, n, inner x D] -> [B, inner x
// D], and the gradient. Vectors that are absent reach neither function of the combiner. T is float
// or double.
#pragma once

#include <cstdint>

#include "embedding/rules/own_combiner.hpp"

namespace keyshard {

/// One vector of the result: number r is place r % inner of sample r / inner.
template <class T>
struct ReduceOwnAxis {
  OwnCombiner combiner;
  const T* in;
  std::int64_t n;
  std::int64_t inner;
  std::int64_t dim;             ///< D
  const std::uint8_t* present;  ///< [B, n, inner]; null: all are
  std::uint32_t* items;         ///< [B x inner, n] scratch; used where `present` is given

  KEYSHARD_HD std::int64_t place(std::int64_t r) const { return r / inner * n * inner + r % inner; }

  /// The vectors that take part.
  KEYSHARD_HD BagRowsOf<T> rows_of(std::int64_t r) const {
    const std::int64_t columns = inner * dim;
    BagRowsOf<T> rows{n, dim, in + place(r) * dim, columns, nullptr, nullptr};
    if (present != nullptr) {
      std::uint32_t* taken = items + r * n;
      rows.n = 0;
      for (std::int64_t j = 0; j < n; ++j) {
        if (present[place(r) + j * inner] != 0) {
          taken[rows.n++] = static_cast<std::uint32_t>(j);
        }
      }
      rows.items = taken;
    }
    return rows;
  }
};

/// out[r] = the combined vector; 0, and absent, where none takes part.
template <class T>
struct ReduceOwnAxisForward {
  ReduceOwnAxis<T> axis;
  T* out;
  std::uint8_t* out_present;  ///< [B x inner]; null: not wanted

  KEYSHARD_HD void operator()(std::int64_t r) const {
    const BagRowsOf<T> rows = axis.rows_of(r);
    T* value = out + r * axis.dim;
    if (out_present != nullptr) {
      out_present[r] = rows.n > 0 ? 1 : 0;
    }
    if (rows.n > 0) {
      return axis.combiner.forward(rows, value);
    }
    for (std::int64_t d = 0; d < axis.dim; ++d) {
      value[d] = T{0};
    }
  }
};

/// gradient = the gradients of the vectors `in`, where upstream[r] is the gradient of out[r]; 0
/// where a vector is absent.
template <class T>
struct ReduceOwnAxisGradient {
  ReduceOwnAxis<T> axis;
  const T* upstream;
  T* gradient;

  KEYSHARD_HD void operator()(std::int64_t r) const {
    const BagRowsOf<T> rows = axis.rows_of(r);
    const BagGradientsOf<T> gradients{gradient + axis.place(r) * axis.dim, axis.inner * axis.dim,
                                      nullptr};
    for (std::int64_t j = 0; j < axis.n; ++j) {
      for (std::int64_t d = 0; d < axis.dim; ++d) {
        gradients[j][d] = T{0};
      }
    }
    if (rows.n > 0) {
      axis.combiner.backward(rows, upstream + r * axis.dim,
                             BagGradientsOf<T>{gradients.values, gradients.width, rows.items});
    }
  }
};

}  // namespace keyshard
