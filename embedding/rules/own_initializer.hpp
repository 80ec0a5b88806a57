// An initializer of a program: a struct with either `double operator()(std::uint32_t word,
// std::int64_t column) const` (or float), as the built-in ones have `at` (initializers.hpp), or
// `void fill(std::uint64_t seed, Key key, std::int64_t dim, T* row) const`, which writes a whole
// row of floats, of doubles, or as a template of both: it is one of tables of these types. `kName`
// and `fields` may be absent. own_initializer (own_rules.hpp) makes it from the struct.
#pragma once

#include <cstdint>

#include "embedding/rules/own_rule.hpp"

namespace keyshard {

class Settings;
struct SettingValue;

/// What a program's struct is compiled to.
struct InitializerFunctions {
  const char* name;
  void (*fill)(const void* rule, std::uint64_t seed, Key key, std::int64_t dim, float* row);
  /// The same in double; null where `fill` writes floats alone.
  void (*fill_doubles)(const void* rule, std::uint64_t seed, Key key, std::int64_t dim,
                       double* row);
  void (*read)(void* rule, Settings& settings);
  SettingValue (*tree)(const void* rule);
};

struct OwnInitializer : OwnRule<InitializerFunctions> {
  static constexpr bool kHostOnly = true;
};

/// Writes the initial values of one row of `dim` columns, by the first lane.
template <class Team>
KEYSHARD_HD void initialize_row(const Team& team, const OwnInitializer& initializer,
                                std::uint64_t seed, Key key, std::int64_t dim, float* row) {
  if (team.thread_rank() == 0) {
    initializer.functions->fill(initializer.rule(), seed, key, dim, row);
  }
}

template <class Team>
KEYSHARD_HD void initialize_row(const Team& team, const OwnInitializer& initializer,
                                std::uint64_t seed, Key key, std::int64_t dim, double* row) {
  if (team.thread_rank() == 0) {
    initializer.functions->fill_doubles(initializer.rule(), seed, key, dim, row);
  }
}

}  // namespace keyshard
