// One step of a row optimizer on long rows: the dense parameters of a rank, cut into blocks of
// fixed size. A block is a row of kDenseBlock numbers, and its states lie one after another, like
// the states of a row.
#pragma once

#include <algorithm>
#include <cstdint>

#include "embedding/rules/optimizers.hpp"
#include "runtime/portable.hpp"
#include "runtime/runs.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// Numbers of a block; only the last block of a chunk may have fewer.
inline constexpr std::int64_t kDenseBlock = 1024;

/// The blocks of a chunk of `size` numbers.
struct DenseBlocks {
  std::int64_t size = 0;

  KEYSHARD_HD std::int64_t count() const { return (size + kDenseBlock - 1) / kDenseBlock; }

  KEYSHARD_HD Range numbers_of(std::int64_t block) const {
    const std::int64_t begin = block * kDenseBlock, left = size - begin;
    return {begin, begin + (left < kDenseBlock ? left : kDenseBlock)};
  }

  /// Where state `state` of a block begins, in an array with `states` numbers for each number of
  /// the chunk; the state has numbers_of(block).size() numbers.
  KEYSHARD_HD std::int64_t place_of(std::int64_t block, std::int64_t state,
                                    std::int64_t states) const {
    const Range numbers = numbers_of(block);
    return numbers.begin * states + numbers.size() * state;
  }
};

/// Steps block `block` by optimizer O. Borrows all of its arrays.
template <class O>
struct StepDenseBlock {
  O rule;
  StepScalars scalars;
  DenseBlocks blocks;
  const float* gradients;  ///< [size]
  float* weights;          ///< [size]
  float* states;           ///< [size x num_states], at DenseBlocks::place_of
  std::int64_t num_states;

  std::int64_t work() const { return kDenseBlock; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t block, const Team& team) const {
    const Range numbers = blocks.numbers_of(block);
    rule.update(team, weights + numbers.begin, states + blocks.place_of(block, 0, num_states),
                gradients + numbers.begin, numbers.size(), scalars);
  }
};

}  // namespace keyshard
