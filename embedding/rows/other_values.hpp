// The values of rows of doubles and of integers, which lie bit for bit among floats (floats_of):
// their initial values and states, and their limit. All of it is rare beside the work on floats, so
// it is compiled once, in functions of its own.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "embedding/rows/table_ref.hpp"
#include "embedding/rules/max_norm.hpp"
#include "runtime/team.hpp"
#include "runtime/visit.hpp"

namespace keyshard {

/// A double as a value: for integers cut towards 0, and the nearest of those that there are.
template <class T>
KEYSHARD_HD T value_as(double x) {
  if constexpr (std::numeric_limits<T>::is_integer) {
    constexpr auto kLeast = std::numeric_limits<T>::min(), kMost = std::numeric_limits<T>::max();
    // The limits of 64 bits as doubles: -2^63, and 2^63, which is one more than the largest.
    return x >= static_cast<double>(kMost)    ? kMost
           : x <= static_cast<double>(kLeast) ? kLeast
           : x == x                           ? static_cast<T>(x)
                                              : T{0};
  } else {
    return static_cast<T>(x);
  }
}

/// Writes the initial values of one group, numbers of type T, clipped to its max_norm.
template <class T, class Team>
KEYSHARD_HD void initialize_numbers(const Team& team, const GroupRef& group, Key key, T* values) {
  visit_variant(group.initializer, [&](const auto& initializer) {
    using I = std::decay_t<decltype(initializer)>;
    if constexpr (!std::is_same_v<I, OwnInitializer>) {
      initial_numbers<double>(
          team, initializer, group.seed, key, group.dim,
          [values](std::int64_t k, double value) { values[k] = value_as<T>(value); });
    } else if constexpr (std::is_same_v<T, double>) {  // integers refuse it
      initialize_row(team, initializer, group.seed, key, group.dim, values);
    }
  });
  if constexpr (!std::numeric_limits<T>::is_integer) {
    if (group.max_norm > 0) {
      team.sync();  // lanes have written columns that others clip
      clip_row(team, group.dim, group.max_norm, values);
    }
  }
}

/// Writes the initial values of a row of doubles or integers, and zeros behind them where they do
/// not fill their last float. Integers have one group.
template <class Team>
KEYSHARD_NOINLINE KEYSHARD_HD void initialize_other(const Team& team, const TableRef& table,
                                                    Key key, float* all) {
  with_number(table.dtype, [&](auto number) {
    using T = decltype(number);
    T* values = numbers_at<T>(all);
    for (std::int64_t g = 0; g < table.num_groups; ++g) {
      const GroupRef& group = table.groups[g];
      initialize_numbers(team, group, key, values + group.offset);
    }
    const GroupRef& last = table.groups[table.num_groups - 1];
    for (std::int64_t k = last.offset + last.dim;
         team.thread_rank() == 0 && k < numbers_in<T>(table.dim); ++k) {
      values[k] = T{0};
    }
  });
}

/// Clips a row of doubles that was written to the max_norm of each group; integers have none.
template <class Team>
KEYSHARD_NOINLINE KEYSHARD_HD void clip_other(const Team& team, const TableRef& table,
                                              float* values) {
  for (std::int64_t g = 0; g < table.num_groups; ++g) {
    const GroupRef& group = table.groups[g];
    if (group.max_norm > 0) {
      team.sync();  // lanes have written columns that others clip
      clip_row(team, group.dim, group.max_norm, numbers_at<double>(values) + group.offset);
    }
  }
}

}  // namespace keyshard
