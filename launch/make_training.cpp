#include "launch/make_training.hpp"

#include "launch/training/cuda_training.hpp"
#include "launch/training/models/numerics.hpp"
#include "launch/training/training_impl.hpp"

namespace keyshard {

std::string numerics_of(const Device& device) {
  return device.cuda < 0 ? numerics_fingerprint() : "cuda " + device.name;
}

std::unique_ptr<Training> make_training(const Device& device, const TrainerOptions& options,
                                        const DataSchema& schema, Communicator<Cpu>& communicator,
                                        Stream<Cpu>& stream) {
  if (device.cuda >= 0) {
    return make_cuda_training(device, options, schema, communicator, stream.threads().size());
  }
  return std::make_unique<TrainingOn<Cpu>>(options, schema, communicator, stream);
}

}  // namespace keyshard
