// Ranks that share the simulated device of this process, as threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"

namespace keyshard::testing {

/// How device data travels between ranks.
enum class Way { nccl, staged };

inline const char* name_of(Way way) { return way == Way::nccl ? "Nccl" : "Staged"; }

std::unique_ptr<Communicator<Cuda>> make_communicator(Way way, Communicator<Cpu>& host);

using DeviceRank = std::function<void(Communicator<Cuda>&, Stream<Cuda>&)>;

/// Calls body(communicator, stream) on `ranks` ranks, as run_ranks does.
void run_device_ranks(Way way, int ranks, const DeviceRank& body);

/// Thrown by the body of a rank that dies: it leaves its communicator and tells nobody.
struct Died {};

/// What each of the ranks throws in `body`: the text of its Error{communication}, or "". Such an
/// error aborts the other ranks, as a program does.
std::vector<std::string> texts_of_device_ranks(Way way, int ranks, const DeviceRank& body);

/// Negates numbers on the device, so that an exchange has work before and after it.
struct Negate {
  std::int64_t* numbers;

  KEYSHARD_HD void operator()(std::int64_t i) const { numbers[i] = -numbers[i]; }
};

/// A check for ranks of any kind: items of random counts go there and back, between kernels.
void exchange_between_kernels(Communicator<Cuda>& communicator, Stream<Cuda>& stream,
                              unsigned seed);

}  // namespace keyshard::testing
