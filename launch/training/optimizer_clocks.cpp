#include "launch/training/optimizer_clocks.hpp"

#include <algorithm>

namespace keyshard {
namespace {

/// A manifest holds at least two numbers of a clock. A number that the optimizer does not have is
/// saved as 1 before the first step and as 0 later: the powers of a decay rate of 0.
constexpr std::size_t kLeastNumbers = 2;

}  // namespace

SettingValue clock_value(const OptimizerClock& clock) {
  SettingValue::Array parts{value_of(clock.step())};
  for (const double carried : clock.numbers()) {
    parts.push_back(real_value(carried));
  }
  while (parts.size() < 1 + kLeastNumbers) {
    parts.push_back(real_value(clock.step() == 0 ? 1.0 : 0.0));
  }
  return value_of(std::move(parts));
}

void restore_clock(const ValueReader& saved, OptimizerClock& clock) {
  const std::size_t size = clock.numbers().size();
  const std::vector<ValueReader> parts =
      saved.entries(static_cast<std::int64_t>(1 + std::max(size, kLeastNumbers)));
  std::vector<double> numbers;
  for (std::size_t k = 0; k < size; ++k) {
    numbers.push_back(parts[1 + k].real());
  }
  clock.restore(parts[0].integer(), std::move(numbers));
}

SettingValue clocks_value(const std::vector<OptimizerClock*>& clocks) {
  return list_of(clocks, [](const OptimizerClock* clock) { return clock_value(*clock); });
}

void check_clocks(const ValueReader& saved, const std::vector<OptimizerClock*>& clocks) {
  const std::vector<ValueReader> values = saved.entries(static_cast<std::int64_t>(clocks.size()));
  for (std::size_t c = 0; c < clocks.size(); ++c) {
    OptimizerClock trial = *clocks[c];
    restore_clock(values[c], trial);
  }
}

void restore_clocks(const ValueReader& saved, const std::vector<OptimizerClock*>& clocks) {
  const std::vector<ValueReader> values = saved.entries(static_cast<std::int64_t>(clocks.size()));
  for (std::size_t c = 0; c < clocks.size(); ++c) {
    restore_clock(values[c], *clocks[c]);
  }
}

}  // namespace keyshard
