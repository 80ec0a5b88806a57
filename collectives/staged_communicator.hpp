// Ranks that exchange device data through host memory, so that several of them can share one GPU:
// buffers are copied to pinned memory, travel by a communicator of host data, and are copied back.
#pragma once

#include <memory>

#include "collectives/communicator.hpp"

namespace keyshard {

/// A communicator over the ranks of `host`, which is borrowed, for data on the CUDA device of the
/// stream that a call is given. An all_to_all waits for the stream and for all ranks. It keeps
/// pinned memory of the size of the largest exchange so far.
std::unique_ptr<Communicator<Cuda>> make_staged_communicator(Communicator<Cpu>& host);

}  // namespace keyshard
