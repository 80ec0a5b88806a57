// An optimizer of a program. Its struct has what the struct of a built-in optimizer has
// (optimizer_rule.hpp); of that, `kName`, `fields`, `kWidths`, `kWholeRow`, `kClock` and
// `learning_rate` may be absent. An `update` of floats alone is one of tables that compute in
// floats. own_optimizer (own_rules.hpp) makes it from the struct.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/rules/optimizer_rule.hpp"
#include "embedding/rules/own_rule.hpp"

namespace keyshard {

class Settings;
struct SettingValue;

/// What a program's struct is compiled to.
struct OptimizerFunctions {
  const char* name;
  bool whole_row;  ///< the step of a number depends on the other numbers of its row
  void (*update)(const void* rule, float* w, float* state, const float* g, std::int64_t dim,
                 const StepScalars& step);
  /// The same in double; null where the struct has no such `update`.
  void (*update_doubles)(const void* rule, double* w, double* state, const double* g,
                         std::int64_t dim, const StepScalars& step);
  double (*learning_rate)(const void* rule);
  std::vector<StateRule> (*states)(const void* rule);
  std::vector<double> (*first_clock)();
  void (*tick)(const void* rule, double* clock, StepScalars& step);
  void (*read)(void* rule, Settings& settings);
  SettingValue (*tree)(const void* rule);
};

struct OwnOptimizer : OwnRule<OptimizerFunctions> {
  static constexpr bool kHostOnly = true;
  static constexpr int kStates = 8;
  static constexpr Widths kWidths = Widths::any;  // the function chooses

  /// One step of a row, by the first lane.
  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, float* w, float* state, const float* g, Dim dim,
                          const StepScalars& step) const {
    if (team.thread_rank() == 0) {
      functions->update(rule(), w, state, g, dim, step);
    }
  }

  template <class Team, class Dim>
  KEYSHARD_HD void update(const Team& team, double* w, double* state, const double* g, Dim dim,
                          const StepScalars& step) const {
    if (team.thread_rank() == 0) {
      functions->update_doubles(rule(), w, state, g, dim, step);
    }
  }
};

}  // namespace keyshard
