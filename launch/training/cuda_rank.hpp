// What a rank of a job has on its CUDA device: a queue, and the communicator of its data.
#pragma once

#include <memory>

#include "collectives/nccl_communicator.hpp"
#include "collectives/staged_communicator.hpp"
#include "launch/training/training.hpp"

namespace keyshard {

struct CudaRank {
  /// Ranks exchange by NCCL, or through `host` and host memory where the device is shared. `host`
  /// is borrowed; `threads` are those of the host beside the queue. Collective. Throws as
  /// make_nccl_communicator.
  CudaRank(const Device& device, Communicator<Cpu>& host, int threads)
      : stream(device.cuda, threads),
        communicator(device.shared ? make_staged_communicator(host)
                                   : make_nccl_communicator(host, device.cuda)) {}

  Stream<Cuda> stream;
  std::unique_ptr<Communicator<Cuda>> communicator;
};

}  // namespace keyshard
