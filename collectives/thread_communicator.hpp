// Ranks that are threads of one process: for tests, and for programs that embed keyshard without
// MPI. Ranks meet under one lock. Where a rank aborts, or calls another collective than its peers,
// the collective throws Error{communication} on all ranks.
#pragma once

#include <memory>
#include <vector>

#include "collectives/communicator.hpp"

namespace keyshard {

/// The communicators of `ranks` ranks, one for each thread. They share their meeting place and may
/// be destroyed in any order.
std::vector<std::unique_ptr<Communicator<Cpu>>> make_thread_communicators(int ranks);

}  // namespace keyshard
