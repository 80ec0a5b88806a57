// One step of a row optimizer on long rows: the dense parameters of a rank, cut into blocks of
// fixed size. A block is a row of kDenseBlock numbers whose states lie apart.
#pragma once

#include <algorithm>
#include <cstdint>

#include "embedding/rules/optimizers.hpp"
#include "runtime/portable.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// Numbers of a block; only the last block of a chunk may have fewer.
inline constexpr std::int64_t kDenseBlock = 1024;

/// Steps block `block` of `size` numbers by optimizer O, which may have any number of states.
/// Borrows all of its arrays.
template <class O>
struct StepDenseBlock {
  static constexpr std::int64_t kPlaces = O::kStates > 0 ? O::kStates : 1;

  O rule;
  StepScalars scalars;
  std::int64_t size;
  const float* gradients;  ///< [size]
  float* weights;          ///< [size]
  float* states[kPlaces];  ///< [size] each; the first O::kStates are used

  KEYSHARD_HD void operator()(std::int64_t block) const {
    const std::int64_t begin = block * kDenseBlock;
    const std::int64_t n = size - begin < kDenseBlock ? size - begin : kDenseBlock;
    // A row has its states one after another.
    float row[kPlaces * kDenseBlock];
    for (std::int64_t s = 0; s < O::kStates; ++s) {
      std::copy_n(states[s] + begin, n, row + s * n);
    }
    rule.update(Solo{}, weights + begin, row, gradients + begin, n, scalars);
    for (std::int64_t s = 0; s < O::kStates; ++s) {
      std::copy_n(row + s * n, n, states[s] + begin);
    }
  }
};

}  // namespace keyshard
