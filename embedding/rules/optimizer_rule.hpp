// What the struct of an optimizer has, beside `update`, which takes values, states and gradients of
// type T, float or double, and computes in T. It says all that is particular to its optimizer;
// configurations, tables, checkpoints and messages are made from
// - kName: its name in files;
// - fields(self, field), which calls field(key, member, least, most) for every key of a
//   configuration; the default of a key is that of the member;
// - states(): the states of a row, of which kStates is the most;
// - kWidths: whether its update is compiled for the usual widths of rows (runtime/columns.hpp):
//   usual for optimizers in common use, any for the others;
// - kWholeRow = true, where the step of a number depends on the other numbers of its row;
// - where a step needs numbers that follow the count of steps: kClock, these numbers before the
//   first step, and tick(clock, step), which advances them by a step and sets what its rows need.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/columns.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// What a step gives to every row.
struct StepScalars {
  std::int64_t step = 1;           ///< number of the step, from 1
  double learning_rate_scale = 1;  ///< factor of the schedule
  double factors[3] = {1, 1, 1};   ///< what `tick` makes of the clock
};

/// The learning rate of a step.
template <class T>
KEYSHARD_HD T rate_of(double learning_rate, const StepScalars& step) {
  return static_cast<T>(learning_rate) * static_cast<T>(step.learning_rate_scale);
}

/// How many numbers of a state each row has: one per column, or a single one.
enum class StateWidth { columns, one };

/// A state of an optimizer: its name in checkpoints, and the value of its numbers before the first
/// step.
struct StateRule {
  const char* name;
  double initial = 0;
  StateWidth width = StateWidth::columns;
};

/// The states of an optimizer whose options decide how many there are, at most kMost.
template <int kMost>
class StateList {
 public:
  void add(const StateRule& state) { states_[static_cast<std::size_t>(size_++)] = state; }

  const StateRule* begin() const { return states_.data(); }

  const StateRule* end() const { return states_.data() + size_; }

 private:
  std::array<StateRule, kMost> states_{};
  int size_ = 0;
};

}  // namespace keyshard
