// Work that succeeds on all ranks or fails on all of them with the same message.
#pragma once

#include <functional>

#include "collectives/communicator.hpp"

namespace keyshard {

/// Runs `body`, which makes no collective calls, and asks all ranks how it went. Throws on every
/// rank what the lowest-numbered failing rank threw: its kind, its message and its number.
/// Collective.
void vote(Communicator<Cpu>& communicator, const std::function<void()>& body);

}  // namespace keyshard
