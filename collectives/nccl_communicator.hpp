// Ranks that have a GPU each and exchange device data through NCCL. An all_to_all is a group of
// sends and receives of the exact sizes, on a queue of its own: it begins when the given stream has
// come to the call, and the stream goes on after it. The host does not wait.
#pragma once

#include <memory>

#include "collectives/communicator.hpp"

namespace keyshard {

/// A communicator over the ranks of `host`, for data on this rank's CUDA device number `device`.
/// Messages between hosts, notes and aborts go through `host`, which is borrowed. Collective, and
/// so is the end of the communicator, unless an exception is under way. Throws Error{communication}
/// where NCCL fails, and the error of the lowest rank that lacks its device, on all ranks.
///
/// The buffers of an all_to_all may be released in the order of its stream as soon as the call
/// returns. A failure of NCCL or of a peer that comes later is found by the next call, or where the
/// host waits for the stream or for an event behind it; all later calls fail too. As after any
/// error of one rank, the caller ends the other ranks by abort(). `duplicate` makes another NCCL
/// communicator: two exchanges under way at once must be given in the same order on all ranks.
std::unique_ptr<Communicator<Cuda>> make_nccl_communicator(Communicator<Cpu>& host, int device);

}  // namespace keyshard
