// One message and totals beyond 2^31 bytes, on two ranks.
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "collectives/mpi_session.hpp"

namespace keyshard::testing {
namespace {

/// MemAvailable of the machine, in GiB; 0 where it is unknown.
std::int64_t free_gib() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (std::int64_t kib = 0; file >> name >> kib; std::getline(file, unit)) {
    if (name == "MemAvailable:") {
      return kib >> 20;
    }
  }
  return 0;
}

TEST(MpiLarge, AllToAllMovesMoreThanTwoGib) {
  MpiSession session;
  const auto world = session.world();
  std::vector<std::int64_t> free{free_gib()};
  world->all_reduce(Span<std::int64_t>(free), Reduction::min);
  if (world->size() != 2 || free[0] < 8) {
    GTEST_SKIP() << "expected two ranks and 8 GiB of free memory";
  }
  // Rank 0 sends 2.2 GiB to rank 1, which sends 8 bytes back.
  const std::int64_t words = 295'000'000;
  const bool sender = world->rank() == 0;
  std::vector<std::int64_t> send(static_cast<std::size_t>(sender ? words : 1), 77);
  std::vector<std::int64_t> received(static_cast<std::size_t>(sender ? 1 : words));
  for (std::int64_t i = 0; sender && i < words; ++i) {
    send[static_cast<std::size_t>(i)] = i * 3;
  }
  const std::vector<std::int64_t> send_bytes{sender ? 0 : 8, sender ? words * 8 : 0};
  const std::vector<std::int64_t> receive_bytes{sender ? 0 : words * 8, sender ? 8 : 0};
  Stream<Cpu> stream;
  world->all_to_all(stream, std::as_bytes(Span<const std::int64_t>(send)), send_bytes,
                    std::as_writable_bytes(Span<std::int64_t>(received)), receive_bytes);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(received.size()); ++i) {
    wrong += received[static_cast<std::size_t>(i)] != (sender ? 77 : i * 3);
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace keyshard::testing
