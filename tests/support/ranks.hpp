// Runs a body on several ranks, as threads of this process.
#pragma once

#include <functional>

#include "collectives/communicator.hpp"

namespace keyshard::testing {

/// Calls body(communicator, stream) on `ranks` ranks of `threads` threads each. The error of the
/// first rank that fails aborts the other ranks and is thrown here; errors of aborted ranks are
/// not.
void run_ranks(int ranks, int threads,
               const std::function<void(Communicator<Cpu>&, Stream<Cpu>&)>& body);

}  // namespace keyshard::testing
