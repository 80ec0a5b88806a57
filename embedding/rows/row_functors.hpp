// What is done to one row of a table, as functors: find, read, initialise, shrink and update.
#pragma once

#include <cstdint>

#include "embedding/rows/key_index.hpp"
#include "embedding/rows/row_store.hpp"
#include "embedding/rules/initializers.hpp"
#include "embedding/rules/optimizers.hpp"
#include "runtime/columns.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// rows[i] = the row of keys[i], or kNoRow.
template <class P>
struct FindRow {
  KeyIndexRef index;
  P partitioner;
  const Key* keys;
  RowId* rows;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const RowId row = index.find(team, keys[i], index.home_of(keys[i], partitioner.shard(keys[i])));
    if (team.thread_rank() == 0) {
      rows[i] = row;
    }
  }
};

/// Copies the values of a row to out + i * dim + offset; of an absent key its initial values, or
/// zeros.
template <class I>
struct ReadRow {
  RowStoreRef store;
  I initializer;
  std::uint64_t seed;
  bool zeros;
  const Key* keys;
  const RowId* rows;
  std::int64_t dim;     ///< of all groups: the distance from one output to the next
  std::int64_t offset;  ///< of the group in the row
  std::int64_t width;   ///< of the group
  float* out;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* to = out + i * dim + offset;
    if (rows[i] == kNoRow && !zeros) {
      initialize_row(team, initializer, seed, keys[i], width, to);
      return;
    }
    const float* from = rows[i] == kNoRow ? nullptr : store.row(rows[i]) + offset;
    with_width(width, [&](auto n) {
      for (std::int64_t d = team.thread_rank(); d < n; d += team.num_threads()) {
        to[d] = from == nullptr ? 0.0f : from[d];
      }
    });
  }
};

/// Writes the initial values of one group into a new row.
template <class I>
struct InitializeRow {
  RowStoreRef store;
  I initializer;
  std::uint64_t seed;
  const Key* keys;
  const RowId* rows;
  std::int64_t offset;
  std::int64_t width;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    initialize_row(team, initializer, seed, keys[i], width, store.row(rows[i]) + offset);
  }
};

/// Writes one state of a new row.
struct InitializeState {
  RowStoreRef store;
  const RowId* rows;
  std::int64_t offset;
  std::int64_t width;
  float value;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* to = store.row(rows[i]) + offset;
    for (std::int64_t d = team.thread_rank(); d < width; d += team.num_threads()) {
      to[d] = value;
    }
  }
};

/// Adds L2 to the gradient of a group and decays its weights, as Regularization says.
struct ShrinkRow {
  RowStoreRef store;
  const RowId* rows;
  std::int64_t dim;
  std::int64_t offset;
  std::int64_t width;
  float* gradients;
  const std::uint32_t* occurrences;  ///< null: once per step
  float l2;                          ///< per occurrence: already divided by the valid samples
  float decay;                       ///< learning rate * weight decay

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* w = store.row(rows[i]) + offset;
    float* g = gradients + i * dim + offset;
    const float factor = occurrences == nullptr ? l2 : l2 * static_cast<float>(occurrences[i]);
    for (std::int64_t d = team.thread_rank(); d < width; d += team.num_threads()) {
      const float before = w[d];
      g[d] = g[d] + factor * before;
      w[d] = before - decay * before;
    }
  }
};

/// One optimizer step of one group.
template <class O>
struct UpdateRow {
  RowStoreRef store;
  O optimizer;
  StepScalars step;
  const RowId* rows;
  std::int64_t dim;
  std::int64_t offset;
  std::int64_t width;
  std::int64_t state_offset;
  const float* gradients;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* row = store.row(rows[i]);
    with_width(width, [&](auto n) {
      optimizer.update(team, row + offset, row + state_offset, gradients + i * dim + offset, n,
                       step);
    });
  }
};

}  // namespace keyshard
