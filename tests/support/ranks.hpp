// Runs a body on several ranks, as threads of this process.
#pragma once

#include <functional>

#include "collectives/communicator.hpp"

namespace keyshard::testing {

/// body(communicator, stream) on `ranks` ranks of `threads` threads each. What the first failing
/// rank throws aborts the others and is thrown here; what it causes on others is not.
void run_ranks(int ranks, int threads,
               const std::function<void(Communicator<Cpu>&, Stream<Cpu>&)>& body);

}  // namespace keyshard::testing
