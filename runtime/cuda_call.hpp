// Calls of the CUDA runtime: a failed one throws.
#pragma once

#include <string_view>

#include <cuda_runtime_api.h>

#include "runtime/error.hpp"

namespace keyshard {

/// Throws Error{device} that names the call and what the runtime says, unless `result` is success;
/// Error{out_of_memory} where the device has no memory left.
inline void check_cuda(cudaError_t result, std::string_view call,
                       const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (result == cudaSuccess) {
    return;
  }
  const Kind kind = result == cudaErrorMemoryAllocation ? Kind::out_of_memory : Kind::device;
  throw Error(kind,
              fmt::format("the CUDA device failed in {}: {} ({})", call, cudaGetErrorString(result),
                          cudaGetErrorName(result)),
              file, line);
}

}  // namespace keyshard
