// The simulated device as a test sees it beside the calls of the CUDA runtime.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/options.hpp"

struct CUstream_st;

namespace keyshard::sim {

struct Queue;

/// The queue of a CUDA stream.
Queue* queue_of(CUstream_st* stream);

/// What made the device lost; empty where it works.
std::string device_failure();

/// The device is lost, by a failure that another double has found. The first failure stays.
void lose_device(const std::string& why);

/// A device that works, for the next test, after what is queued has run.
void reset_device(const Options& options);

/// What has been given to the device since it was reset.
struct Work {
  std::int64_t kernels = 0;
  std::int64_t kernels_of_nvcc = 0;  ///< those among them that objects of nvcc have launched
  std::int64_t copies_to_device = 0;
  std::int64_t bytes_to_device = 0;
  std::int64_t copies_to_host = 0;
  std::int64_t bytes_to_host = 0;
  std::int64_t waits = 0;  ///< of the host, for a queue
};

Work work();

}  // namespace keyshard::sim
