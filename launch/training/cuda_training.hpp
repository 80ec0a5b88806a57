// What a program asks of the CUDA devices of its machine. A build without the CUDA toolkit defines
// these functions in cuda_absent.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "launch/training/training.hpp"

namespace keyshard {

/// The names of the CUDA devices that this process may use, by number.
struct CudaDevices {
  std::vector<std::string> names;
  std::string none;  ///< why there are none
};

CudaDevices cuda_devices();

/// A training with a queue of the device of its own, and `threads` threads of the host. Ranks
/// exchange by NCCL, or through `communicator` and host memory where the device is shared.
std::unique_ptr<Training> make_cuda_training(const Device& device, const TrainerOptions& options,
                                             const DataSchema& schema,
                                             Communicator<Cpu>& communicator, int threads);

}  // namespace keyshard
