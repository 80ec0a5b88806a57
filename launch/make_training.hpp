// The training of a rank on the device that the program has chosen. A library that trains on CPUs
// alone does without: it links no library of a device.
#pragma once

#include <memory>
#include <string>

#include "launch/training/training.hpp"

namespace keyshard {

/// What decides the bits of a training beside its configuration: the device, or the numerics of
/// this machine (numerics.hpp).
std::string numerics_of(const Device& device);

/// Makes the training of this rank. Communicator and stream are those of the host, borrowed.
/// Collective. Throws as the constructor of Trainer does, and Error{not_built} where the device is
/// not built in.
std::unique_ptr<Training> make_training(const Device& device, const TrainerOptions& options,
                                        const DataSchema& schema, Communicator<Cpu>& communicator,
                                        Stream<Cpu>& stream);

}  // namespace keyshard
