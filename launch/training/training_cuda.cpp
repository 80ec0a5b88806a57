#include "collectives/nccl_communicator.hpp"
#include "collectives/staged_communicator.hpp"
#include "launch/training/cuda_training.hpp"
#include "launch/training/training_impl.hpp"
#include "runtime/cuda_call.hpp"

namespace keyshard {
namespace {

/// The queue and the ranks of a training, which stand longer than its Trainer.
struct CudaRank {
  CudaRank(const Device& device, Communicator<Cpu>& host, int threads)
      : stream(device.cuda, threads),
        communicator(device.shared ? make_staged_communicator(host)
                                   : make_nccl_communicator(host, device.cuda)) {}

  Stream<Cuda> stream;
  std::unique_ptr<Communicator<Cuda>> communicator;
};

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
