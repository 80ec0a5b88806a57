// Ranks that are threads of one process: for tests, and for programs that embed keyshard without
// MPI. Ranks meet under one lock; a rank that calls another collective than its peers, or that
// aborts, makes it fail on all of them.
#pragma once

#include <memory>
#include <vector>

#include "collectives/communicator.hpp"

namespace keyshard {

/// The communicators of `ranks` ranks, one for each thread. They share their meeting place and may
/// be destroyed in any order.
std::vector<std::unique_ptr<Communicator<Cpu>>> make_thread_communicators(int ranks);

}  // namespace keyshard
