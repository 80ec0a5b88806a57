// How many samples of a split are of each class, so that a user hears of data from which no
// classifier can learn.
#pragma once

#include <cstdint>
#include <string>

#include "collectives/communicator.hpp"
#include "io/batch.hpp"
#include "io/data_options.hpp"

namespace keyshard {

class LabelCounts {
 public:
  void add(const Batch& batch);

  /// What a user should hear about the samples of all ranks; empty: they have both classes (labels
  /// above 1/2, and others), or there are none. Collective.
  std::string problem(Communicator<Cpu>& communicator, const DataOptions& options,
                      Split split) const;

 private:
  std::int64_t samples_ = 0;
  std::int64_t positive_ = 0;
};

}  // namespace keyshard
