// Tests on the simulated device: each starts with a device that works, and fails where it leaves
// work in a queue, since a kernel that never ran has shown nothing.
#pragma once

#include <algorithm>
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

/// body(seed) for `seeds` seeds and both orders of queues, on a fresh device each time; a few seeds
/// where accesses are watched, which is slow.
template <class Body>
void for_seeds(int seeds, const Body& body) {
  seeds = sim::kHooks || sim::kTsan ? std::min(seeds, 3) : seeds;
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
