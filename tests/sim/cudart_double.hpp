// What the doubles of the CUDA runtime share.
#pragma once

#include <cuda_runtime_api.h>

#include "tests/sim/device.hpp"

namespace keyshard::sim {

/// Returns the error, which cudaGetLastError tells of too.
cudaError_t refuse(cudaError_t error);

/// Counts a copy or a wait in work().
void count_copy(cudaMemcpyKind kind, std::size_t bytes);
void count_wait();

/// Calls the simulator. Its failure is that of a kernel, found at this call as on a device.
template <class Call>
cudaError_t guarded(const Call& call) {
  if (!device_failure().empty()) {
    return refuse(cudaErrorLaunchFailure);
  }
  try {
    call();
    return cudaSuccess;
  } catch (const Failure& failure) {
    lose_device(failure.what());
    return refuse(cudaErrorLaunchFailure);
  }
}

}  // namespace keyshard::sim
