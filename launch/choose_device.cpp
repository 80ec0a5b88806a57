#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "collectives/texts.hpp"
#include "launch/process.hpp"
#include "launch/training/cuda_training.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

std::string machine_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

/// The ranks of this rank's machine, and its number among them.
struct LocalRanks {
  std::int64_t number = 0;
  std::int64_t count = 0;

  explicit LocalRanks(Communicator<Cpu>& communicator) {
    const std::vector<std::string> machines = gather_texts(communicator, machine_name());
    const std::string& mine = machines[static_cast<std::size_t>(communicator.rank())];
    for (std::size_t rank = 0; rank < machines.size(); ++rank) {
      if (machines[rank] == mine) {
        number += static_cast<int>(rank) < communicator.rank() ? 1 : 0;
        ++count;
      }
    }
  }
};

/// Refuses, on all ranks, what one machine lacks.
void check_devices(const DeviceChoice& choice, const std::vector<std::int64_t>& devices,
                   const std::vector<std::int64_t>& ranks, const std::string& none) {
  for (std::size_t rank = 0; rank < devices.size(); ++rank) {
    require(devices[rank] > 0, Kind::not_built,
            "--device {}: expected a GPU on every machine; --device cpu runs without: found none "
            "on that of rank {}{}",
            choice.device, rank, none.empty() ? "" : ": " + none);
    require(
        devices[rank] >= ranks[rank] || choice.share_device, Kind::invalid_argument,
        "expected a GPU for each rank of a machine; fewer ranks, --device cpu or --share-device "
        "help: found {} ranks and {} GPUs on the machine of rank {}",
        ranks[rank], devices[rank], rank);
  }
}

/// GPUs of other kinds choose other products, whose bits differ.
void check_same_gpus(Communicator<Cpu>& communicator, const std::string& mine) {
  const std::vector<std::string> names = gather_texts(communicator, mine);
  for (std::size_t rank = 1; rank < names.size(); ++rank) {
    require(names[rank] == names[0], Kind::invalid_argument,
            "expected one kind of GPU on all ranks: rank 0 has {}, rank {} has {}", names[0], rank,
            names[rank]);
  }
}

}  // namespace

Device choose_device(const DeviceChoice& choice, Communicator<Cpu>& communicator) {
  if (choice.device == "cpu") {
    return {};
  }
  const CudaDevices found = cuda_devices();
  const LocalRanks local(communicator);
  const std::vector<std::int64_t> devices = communicator.gather_values(std::ssize(found.names));
  const std::vector<std::int64_t> ranks = communicator.gather_values(local.count);
  const bool none = *std::max_element(devices.begin(), devices.end()) == 0;
  if (choice.device == "auto" && none) {
    return {};
  }
  check_devices(choice, devices, ranks, found.none);
  // One machine whose ranks share a GPU makes all ranks of the job exchange through host memory.
  bool shared = false;
  for (std::size_t rank = 0; rank < devices.size(); ++rank) {
    shared |= ranks[rank] > devices[rank];
  }
  const std::int64_t number = local.number % std::ssize(found.names);
  const std::string& name = found.names[static_cast<std::size_t>(number)];
  check_same_gpus(communicator, name);
  return {.cuda = static_cast<int>(number), .name = name, .shared = shared};
}

std::string place_of(const Device& device, int ranks, int threads) {
  if (device.cuda < 0) {
    return fmt::format("{} ranks x {} threads", ranks, threads);
  }
  return fmt::format("{} ranks with {} ({})", ranks, device.shared ? "a shared GPU" : "a GPU each",
                     device.name);
}

}  // namespace keyshard
