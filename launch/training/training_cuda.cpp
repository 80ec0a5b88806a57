#include "launch/training/cuda_rank.hpp"
#include "launch/training/cuda_training.hpp"
#include "launch/training/training_impl.hpp"
#include "runtime/cuda_call.hpp"

namespace keyshard {
namespace {

/// The rank stands longer than its Trainer.
class CudaTraining : private CudaRank, public TrainingOn<Cuda> {
 public:
  CudaTraining(const Device& device, const TrainerOptions& options, const DataSchema& schema,
               Communicator<Cpu>& host, int threads)
      : CudaRank(device, host, threads),
        TrainingOn<Cuda>(options, schema, *communicator, CudaRank::stream) {}
};

}  // namespace

CudaDevices cuda_devices() {
  CudaDevices devices;
  int count = 0;
  const cudaError_t found = cudaGetDeviceCount(&count);
  if (found != cudaSuccess) {
    cudaGetLastError();  // which it resets
    devices.none = cudaGetErrorString(found);
    return devices;
  }
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties{};
    check_cuda(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    devices.names.emplace_back(properties.name);
  }
  return devices;
}

std::unique_ptr<Training> make_cuda_training(const Device& device, const TrainerOptions& options,
                                             const DataSchema& schema,
                                             Communicator<Cpu>& communicator, int threads) {
  return std::make_unique<CudaTraining>(device, options, schema, communicator, threads);
}

}  // namespace keyshard
