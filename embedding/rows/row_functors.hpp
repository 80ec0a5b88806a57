// What is done to one row of a table, as functors: find, read, locate and initialise (its step:
// update_row.hpp). The rules of a table stand in a TableRef; a functor of several tables gives each
// run of keys the functor of the table of that run (for_each_run).
#pragma once

#include <cstdint>

#include "embedding/rows/other_values.hpp"
#include "embedding/rows/row_values.hpp"
#include "embedding/rows/table_ref.hpp"
#include "embedding/rules/max_norm.hpp"
#include "embedding/rules/row_norm.hpp"
#include "runtime/columns.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/team.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

/// rows[i] = the row of keys[i], or kNoRow; returns whether it is kNoRow.
template <class P>
struct FindRow {
  static constexpr int kTeamWidth = 8;  ///< a bucket has 5 slots

  KeyIndexRef index;
  P partitioner;
  const Key* keys;
  RowId* rows;

  std::int64_t work() const { return 10; }

  KEYSHARD_HD KeyIndexRef::Home fetch(std::int64_t i) const {
    const KeyIndexRef::Home home = index.home_of(keys[i], partitioner.shard(keys[i]));
    prefetch(home.bucket, 1);
    return home;
  }

  template <class Team>
  KEYSHARD_HD bool operator()(std::int64_t i, const Team& team,
                              const KeyIndexRef::Home& home) const {
    const RowId row = KeyIndexRef::find(team, keys[i], home);
    if (team.thread_rank() == 0) {
      rows[i] = row;
    }
    return team.thread_rank() == 0 && row == kNoRow;
  }
};

/// Writes the values of group `group` of a new row, into those of all groups, by `initializer`,
/// which is that of the group, clipped to its max_norm.
template <class Team, class I>
KEYSHARD_HD void initialize_by(const Team& team, const I& initializer, const GroupRef& group,
                               Key key, float* all) {
  float* values = all + group.offset;
  initialize_row(team, initializer, group.seed, key, group.dim, values);
  if (group.max_norm > 0) {
    team.sync();  // lanes have written columns that others clip
    clip_row(team, group.dim, group.max_norm, values);
  }
}

/// The same by whichever initializer the group has.
template <class Team>
KEYSHARD_HD void initialize_group(const Team& team, const GroupRef& group, Key key, float* all) {
  visit_variant(group.initializer, [&](const auto& initializer) {
    initialize_by(team, initializer, group, key, all);
  });
}

/// Clips the values of a row that were written to the max_norm of each group.
template <class Team>
KEYSHARD_HD void clip_groups(const Team& team, const TableRef& table, float* values) {
  if (!works_as_float(table.dtype)) {
    return clip_other(team, table, values);
  }
  for (std::int64_t g = 0; g < table.num_groups; ++g) {
    const GroupRef& group = table.groups[g];
    if (group.max_norm > 0) {
      team.sync();  // lanes have written columns that others clip
      clip_row(team, group.dim, group.max_norm, values + group.offset);
    }
  }
}

/// The values of an absent key: those of a new row, rounded as the table keeps them, or zeros.
template <class Team>
KEYSHARD_HD void read_absent(const Team& team, const TableRef& table, Key key, bool inference,
                             float* to) {
  if (inference && table.zeros) {
    for (std::int64_t d = team.thread_rank(); d < table.dim; d += team.num_threads()) {
      to[d] = 0.0f;
    }
    return;
  }
  if (!works_as_float(table.dtype)) {
    return initialize_other(team, table, key, to);
  }
  for (std::int64_t g = 0; g < table.num_groups; ++g) {
    initialize_group(team, table.groups[g], key, to);
  }
  if (table.dtype != ValueDtype::float32) {
    team.sync();  // lanes have written columns that others round
    round_values(team, table.dtype, table.dim, to);
  }
}

/// out + (i - first) * dim gets the values of key which[i] of a table without 16-bit floats, or of
/// key i where `which` is null.
struct ReadRow {
  const TableRef* table;
  const Key* keys;
  const RowId* rows;
  const std::uint32_t* which;  ///< null: the index itself
  std::int64_t first;
  bool inference;
  float* out;

  KEYSHARD_HD std::int64_t key_of(std::int64_t i) const { return which == nullptr ? i : which[i]; }

  KEYSHARD_HD void fetch(std::int64_t i) const {
    const RowId row = rows[key_of(i)];
    if (row != kNoRow) {
      prefetch(table->store.row(row), table->dim);
    }
  }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const std::int64_t key = key_of(i);
    float* to = out + (i - first) * table->dim;
    if (rows[key] == kNoRow) {
      read_absent(team, *table, keys[key], inference, to);
      return;
    }
    const float* from = table->store.row(rows[key]);
    with_width(table->dim, [&](auto n) {
      for (std::int64_t d = team.thread_rank(); d < n; d += team.num_threads()) {
        to[d] = from[d];
      }
    });
  }
};

/// places[i] = where the values of key i of a table without 16-bit floats lie: in the table; for an
/// absent key, at spare + (i - first) * dim, to which they are written.
struct LocateRow {
  const TableRef* table;
  const Key* keys;
  const RowId* rows;
  std::int64_t first;
  bool inference;
  float* spare;
  const float** places;

  std::int64_t work() const { return 4; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* own = spare + (i - first) * table->dim;
    if (rows[i] == kNoRow) {
      read_absent(team, *table, keys[i], inference, own);
    }
    if (team.thread_rank() == 0) {
      places[i] = rows[i] == kNoRow ? own : table->store.row(rows[i]);
    }
  }
};

/// out + (i - first) * dim gets the values of key i of a table of 16-bit floats, as floats;
/// places[i] = that place, where places are asked for.
struct WidenRow {
  const TableRef* table;
  const Key* keys;
  const RowId* rows;
  std::int64_t first;
  bool inference;
  float* out;
  const float** places;  ///< null: not wanted

  KEYSHARD_HD void fetch(std::int64_t i) const {
    if (rows[i] != kNoRow) {
      prefetch(short_values(table->store.row(rows[i])), table->dim);
    }
  }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* to = out + (i - first) * table->dim;
    if (rows[i] == kNoRow) {
      read_absent(team, *table, keys[i], inference, to);
    } else {
      widen_values(team, table->dtype, table->dim, short_values(table->store.row(rows[i])), to);
    }
    if (places != nullptr && team.thread_rank() == 0) {
      places[i] = to;
    }
  }
};

/// Writes the initial states of a group.
template <class T, class Team>
KEYSHARD_HD void initialize_group_states(const Team& team, const GroupRef& group, T* state) {
  for (int s = 0; s < group.num_states; ++s) {
    const T initial = static_cast<T>(group.states[s].initial);
    for (std::int64_t d = team.thread_rank(); d < group.states[s].width; d += team.num_threads()) {
      state[d] = initial;
    }
    state += group.states[s].width;
  }
}

/// Writes the initial states and the status of a row.
template <class Team>
KEYSHARD_HD void initialize_states(const Team& team, const TableRef& table, RowId id) {
  float* row = table.store.row(id);
  table.status.bear(team, id);
  for (std::int64_t g = 0; g < table.num_groups; ++g) {
    const GroupRef& group = table.groups[g];
    float* state = row + group.state_offset;
    if (!works_as_float(table.dtype)) {  // integers have no states
      initialize_group_states(team, group, numbers_at<double>(state));
    } else {
      initialize_group_states(team, group, state);
    }
  }
}

/// Writes the initial values of the groups from `first` on.
template <class Team>
KEYSHARD_HD void initialize_groups(const Team& team, const TableRef& table, std::int64_t first,
                                   Key key, float* values) {
  for (std::int64_t g = first; g < table.num_groups; ++g) {
    initialize_group(team, table.groups[g], key, values);
  }
}

/// Writes the initial values, states and status of a row; `wide` is that of OpenRow.
template <class Team>
KEYSHARD_NOINLINE KEYSHARD_HD void initialize(const Team& team, const TableRef& table, Key key,
                                              RowId id, float* wide = nullptr) {
  const OpenRow open(table, id, wide);
  if (works_as_float(table.dtype)) {
    initialize_groups(team, table, 0, key, open.values);
    open.store(team, table);
  } else {
    initialize_other(team, table, key, open.values);
  }
  initialize_states(team, table, id);
}

/// Initializes the row of new key i of a table of doubles or integers.
struct InitializeOther {
  const TableRef* table;
  const Key* keys;
  const RowId* rows;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    initialize(team, *table, keys[i], rows[i]);
  }
};

/// Initializes the row of new key i. `I` is the initializer of the first group, the same for a
/// whole run.
template <class I>
struct InitializeRow {
  const TableRef* table;
  I initializer;
  const Key* keys;
  const RowId* rows;
  std::int64_t first = 0;
  WideValues wide = {};  ///< of key i at i - first

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const OpenRow open(*table, rows[i], wide.of_row(i - first, table->dim));
    initialize_by(team, initializer, table->groups[0], keys[i], open.values);
    if (table->num_groups > 1) {
      initialize_groups(team, *table, 1, keys[i], open.values);
    }
    open.store(team, *table);
    initialize_states(team, *table, rows[i]);
  }
};

}  // namespace keyshard
