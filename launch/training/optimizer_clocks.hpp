// The clocks of optimizers as a manifest holds them. A training cannot go on from rows and weights
// alone: an optimizer that corrects its bias also needs the number of steps that it has made.
#pragma once

#include <vector>

#include "embedding/rows/table_set.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

SettingValue clock_value(const OptimizerClock& clock);

/// Sets a clock to what clock_value made. Throws Error{corrupt_data}.
void restore_clock(const ValueReader& saved, OptimizerClock& clock);

/// The clocks of all column groups of all tables, in order; borrowed.
template <Backend B>
std::vector<OptimizerClock*> clocks_of(TableSet<B>& tables) {
  std::vector<OptimizerClock*> clocks;
  for (const auto& table : tables.tables()) {
    for (OptimizerClock& clock : table->clocks()) {
      clocks.push_back(&clock);
    }
  }
  return clocks;
}

SettingValue clocks_value(const std::vector<OptimizerClock*>& clocks);

/// Throws Error{corrupt_data} where `saved` is not what clocks_value makes of as many clocks.
void check_clocks(const ValueReader& saved, const std::vector<OptimizerClock*>& clocks);

/// Sets all clocks to what clocks_value made. Throws Error{corrupt_data}.
void restore_clocks(const ValueReader& saved, const std::vector<OptimizerClock*>& clocks);

}  // namespace keyshard
