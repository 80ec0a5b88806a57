// What any communicator must do, on any number of ranks: the same checks run on threads and under
// mpirun.
#pragma once

#include <ostream>
#include <vector>

#include "collectives/communicator.hpp"

namespace keyshard::testing {

/// A check that all ranks run together. It reports by EXPECT and stays in step with its peers.
struct RankCheck {
  const char* name;  ///< a sentence
  void (*run)(Communicator<Cpu>& communicator, Stream<Cpu>& stream);
};

inline std::ostream& operator<<(std::ostream& out, const RankCheck& check) {
  return out << check.name;
}

const std::vector<RankCheck>& communicator_checks();
const std::vector<RankCheck>& folded_sum_checks();

}  // namespace keyshard::testing
