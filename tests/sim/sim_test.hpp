// Tests on the simulated device: each starts with a device that works, and fails where it leaves
// work in a queue, since a kernel that never ran has shown nothing.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/copy.hpp"
#include "tests/sim/device.hpp"
#include "tests/sim/memory.hpp"
#include "tests/sim/queues.hpp"
#include "tests/sim/races.hpp"

namespace keyshard::testing {

class SimTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sim::reset_device({});
    races_ = sim::races();
  }

  void TearDown() override {
    sim::finish_all();  // buffers are given back in the order of their streams
    EXPECT_EQ(sim::device_failure(), "");
    EXPECT_EQ(sim::allocated_bytes(), 0u);
    EXPECT_EQ(sim::races(), races_);
  }

  /// For a test that makes races on purpose.
  void forget_races() { races_ = sim::races(); }

 private:
  int races_ = 0;
};

/// With how many seeds a test runs whose author asks for `seeds`: a few where accesses are watched,
/// which is slow, and on a real device, where nothing is drawn; as many as KEYSHARD_SIM_SEEDS says
/// where that is more (tests/sim.sh).
inline int seeds_of_test(int seeds) {
  const char* asked = std::getenv("KEYSHARD_SIM_SEEDS");
#ifdef KEYSHARD_REAL_DEVICE
  constexpr bool kFew = true;
#else
  constexpr bool kFew = sim::kHooks || sim::kTsan;
#endif
  const int usual = kFew ? std::min(seeds, 3) : seeds;
  return asked == nullptr ? usual : std::max(usual, std::atoi(asked));
}

/// body(seed) for the seeds of a test (seeds_of_test) and both orders of queues, on a fresh device
/// each time.
template <class Body>
void for_seeds(int seeds, const Body& body) {
  seeds = seeds_of_test(seeds);
  for (const sim::Queues queues : {sim::Queues::drawn, sim::Queues::newest_first}) {
    for (int seed = 1; seed <= seeds; ++seed) {
      SCOPED_TRACE(::testing::Message()
                   << "seed " << seed
                   << (queues == sim::Queues::drawn ? ", drawn" : ", newest first"));
      sim::reset_device({.seed = static_cast<std::uint64_t>(seed), .queues = queues});
      body(seed);
      if (::testing::Test::HasFailure()) {
        return;
      }
    }
  }
}

}  // namespace keyshard::testing
