// Work that succeeds on all ranks or fails on all of them with the same message.
#pragma once

#include <functional>

#include "collectives/communicator.hpp"

namespace keyshard {

/// Runs `body`, which makes no collective calls, on every rank. Where it throws on any rank, every
/// rank throws the error of the lowest-numbered one, with the number of that rank in front of the
/// message. Collective.
void vote(Communicator<Cpu>& communicator, const std::function<void()>& body);

}  // namespace keyshard
