// Work that succeeds on all ranks or fails on all of them with the same message.
#pragma once

#include <functional>

#include "collectives/communicator.hpp"

namespace keyshard {

/// Runs `body`, which makes no collective calls, on every rank. Where it throws on any rank, every
/// rank throws the error of the lowest of these ranks, with the number of that rank in front of the
/// message. std::bad_alloc counts as Error{out_of_memory}, another std::exception that is no Error
/// as Error{io}. Collective.
void vote(Communicator<Cpu>& communicator, const std::function<void()>& body);

}  // namespace keyshard
