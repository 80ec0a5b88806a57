// The watchdog over ranks that are threads: it calls on_stuck with the right rank and ends cleanly.
// Real processes are stopped in rank_failure_test.cpp.
#include "collectives/watchdog.hpp"

#include <future>
#include <mutex>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

TEST(Watchdog, EndsCleanlyWhereAllRanksAdvance) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    Watchdog watchdog(communicator.duplicate(), communicator.progress(), {{60, 60}, 1},
                      [](const std::string& message) { ADD_FAILURE() << message; });
    for (int step = 0; step < 200; ++step) {
      communicator.barrier();
    }
    watchdog.end();
  });
}

TEST(Watchdog, NamesTheRankThatStandsAndItsPhase) {
  std::promise<void> released;  // where the stuck rank stands
  const std::shared_future<void> release = released.get_future().share();
  std::once_flag once;
  try {
    run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      Watchdog watchdog(communicator.duplicate(), communicator.progress(), {{2, 2}, 20},
                        [&](const std::string& message) {
                          communicator.abort(message, 70);
                          std::call_once(once, [&] { released.set_value(); });
                        });
      if (communicator.rank() == 1) {
        const InPhase phase(communicator.progress(), Phase::reading);
        release.wait();
      }
      communicator.barrier();
    });
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::communication);
    EXPECT_NE(error.text().find("rank 1 is stuck in phase reading for 2 s"), std::string::npos)
        << error.text();
  }
}

TEST(Watchdog, RefusesALimitOfNothing) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    EXPECT_THROW(Watchdog(communicator.duplicate(), communicator.progress(), {{0, 0}, 10},
                          [](const std::string&) {}),
                 Error);
  });
}

}  // namespace
}  // namespace keyshard::testing
