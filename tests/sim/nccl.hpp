// The doubled NCCL as a test sees it beside the calls of NCCL.
#pragma once

namespace keyshard::sim {

/// Whether a rank hears that a peer has left, as it does over a network. On one machine NCCL tells
/// nobody, and a rank waits until its communicator is aborted. True at first; for this process.
void set_peers_noticed(bool noticed);

}  // namespace keyshard::sim
