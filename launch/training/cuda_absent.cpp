#include "launch/training/cuda_training.hpp"
#include "runtime/error.hpp"

namespace keyshard {

CudaDevices cuda_devices() { return {{}, "this program was built without the CUDA toolkit"}; }

std::unique_ptr<Training> make_cuda_training(const Device& /*device*/,
                                             const TrainerOptions& /*options*/,
                                             const DataSchema& /*schema*/,
                                             Communicator<Cpu>& /*communicator*/, int /*threads*/) {
  fail(Kind::not_built, "expected a program with CUDA: this one was built without the toolkit");
}

}  // namespace keyshard
