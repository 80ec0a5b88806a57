// The device of tests/sim where it is a real one: nothing is drawn, and nothing that only a
// simulation sees is found.
#include <cuda_runtime_api.h>

#include "tests/sim/device.hpp"
#include "tests/sim/memory.hpp"
#include "tests/sim/queues.hpp"
#include "tests/sim/races.hpp"

namespace keyshard::sim {

void reset_device(const Options& /*options*/) {}

std::string device_failure() {
  const cudaError_t failure = cudaDeviceSynchronize();
  return failure == cudaSuccess ? "" : cudaGetErrorString(failure);
}

void finish_all() { cudaDeviceSynchronize(); }

std::size_t allocated_bytes() { return 0; }

int races() { return 0; }

}  // namespace keyshard::sim
