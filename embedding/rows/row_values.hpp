// The values of a row in a table of 16-bit floats. Whatever computes with the values works on a
// copy of them as floats and rounds once, at the end. A row of a table of another type is worked on
// where it lies.
#pragma once

#include <cstdint>
#include <type_traits>

#include "embedding/rows/table_ref.hpp"
#include "runtime/short_floats.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// to [n] = the values [n] of a row of 16-bit floats.
template <class Team>
KEYSHARD_HD KEYSHARD_INLINE void widen_values(const Team& team, ValueDtype dtype, std::int64_t n,
                                              const std::uint16_t* KEYSHARD_RESTRICT values,
                                              float* KEYSHARD_RESTRICT to) {
  if constexpr (std::is_same_v<Team, Solo>) {
    dtype == ValueDtype::float16 ? widen_all<Float16>(n, values, to)
                                 : widen_all<Bfloat16>(n, values, to);
  } else {
    with_short_float(dtype, [&](auto type) {
      for (std::int64_t d = team.thread_rank(); d < n; d += team.num_threads()) {
        to[d] = type.widen(values[d]);
      }
    });
  }
}

/// to [n] = the 16-bit floats nearest to values [n].
template <class Team>
KEYSHARD_HD KEYSHARD_INLINE void narrow_values(const Team& team, ValueDtype dtype, std::int64_t n,
                                               const float* KEYSHARD_RESTRICT values,
                                               std::uint16_t* KEYSHARD_RESTRICT to) {
  if constexpr (std::is_same_v<Team, Solo>) {
    dtype == ValueDtype::float16 ? narrow_all<Float16>(n, values, to)
                                 : narrow_all<Bfloat16>(n, values, to);
  } else {
    with_short_float(dtype, [&](auto type) {
      for (std::int64_t d = team.thread_rank(); d < n; d += team.num_threads()) {
        to[d] = type.narrow(values[d]);
      }
    });
  }
}

/// Rounds values [n] to what a table of this type keeps of them. A lane rounds the columns lane,
/// lane + width, ... alone.
template <class Team>
KEYSHARD_NOINLINE KEYSHARD_HD void round_values(const Team& team, ValueDtype dtype, std::int64_t n,
                                                float* values) {
  if (!is_short(dtype)) {
    return;
  }
  with_short_float(dtype, [&](auto type) {
    for (std::int64_t d = team.thread_rank(); d < n; d += team.num_threads()) {
      values[d] = type.widen(type.narrow(values[d]));
    }
  });
}

/// The 16-bit values of a row.
KEYSHARD_HD inline std::uint16_t* short_values(float* row) {
  return reinterpret_cast<std::uint16_t*>(row);
}

/// Where the values of rows of one table are worked on, [rows x dim]; null where the table keeps
/// no 16-bit floats: its rows are worked on where they lie.
struct WideValues {
  float* values = nullptr;

  KEYSHARD_HD float* of_row(std::int64_t i, std::int64_t dim) const {
    return values == nullptr ? nullptr : values + i * dim;
  }
};

/// A row of a table while it is worked on.
struct OpenRow {
  float* row;     ///< values and states, as the table keeps them
  float* values;  ///< the row itself, or a copy as floats

  /// `wide` [dim] is for the copy; null where the table keeps no 16-bit floats.
  KEYSHARD_HD OpenRow(const TableRef& table, RowId id, float* wide)
      : row(table.store.row(id)), values(wide == nullptr ? row : wide) {}

  /// Brings the values of the row. Not expanded where a row of floats is worked on, which would
  /// take longer for it.
  template <class Team>
  KEYSHARD_NOINLINE KEYSHARD_HD void load(const Team& team, const TableRef& table) const {
    if (values != row) {
      widen_values(team, table.dtype, table.dim, short_values(row), values);
      team.sync();
    }
  }

  /// Keeps the values, rounded; every lane has written its columns.
  template <class Team>
  KEYSHARD_NOINLINE KEYSHARD_HD void store(const Team& team, const TableRef& table) const {
    if (values != row) {
      team.sync();
      narrow_values(team, table.dtype, table.dim, values, short_values(row));
    }
  }
};

}  // namespace keyshard
