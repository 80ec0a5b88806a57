// The measures that any device has: calls on one table by width of the rows and load, and the
// sparse part of steps of several tables. They are the same on a CPU and on a GPU, each beside a
// limit that the same run measures on the same device (FLOORS.md).
#pragma once

#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "launch/bench/context.hpp"

namespace keyshard {

/// The device of a measure, and what every measure has at hand. All is borrowed.
template <Backend B>
struct BenchOn {
  BenchContext& context;
  Communicator<B>& communicator;
  Stream<B>& stream;
  std::vector<std::int64_t> dims;  ///< widths of the rows of one table

  const DeviceSizes& sizes() const { return context.command().sizes; }
};

template <Backend B>
struct DeviceMeasure {
  std::string name;
  std::string what;
  void (*run)(const BenchOn<B>&);
};

/// All of them, in the order in which they run.
template <Backend B>
const std::vector<DeviceMeasure<B>>& device_measures();

/// Runs the measures of these names. Their calls are timed on the device. Expects one rank.
template <Backend B>
void run_device_measures(const BenchOn<B>& bench, const std::vector<std::string>& names);

}  // namespace keyshard
