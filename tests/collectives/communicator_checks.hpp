// What any communicator must do, on any number of ranks and any device: the same checks run on
// threads and under mpirun, with host memory and with a simulated device. *_checks_impl.hpp hold
// the bodies.
#pragma once

#include <ostream>
#include <vector>

#include "collectives/communicator.hpp"

namespace keyshard::testing {

/// A check that all ranks run together. It reports by EXPECT and stays in step with its peers.
template <Backend B>
struct RankCheck {
  const char* name;  ///< a sentence
  void (*run)(Communicator<B>& communicator, Stream<B>& stream);
};

template <Backend B>
std::ostream& operator<<(std::ostream& out, const RankCheck<B>& check) {
  return out << check.name;
}

template <Backend B>
std::vector<RankCheck<B>> communicator_checks();
template <Backend B>
std::vector<RankCheck<B>> folded_sum_checks();

}  // namespace keyshard::testing
