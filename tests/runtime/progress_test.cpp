// The progress of a rank: a phase that ends gives way to the phase before, and a counter advances.
#include "runtime/progress.hpp"

#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

constexpr std::uint32_t kPhases = static_cast<std::uint32_t>(Phase::ending) + 1;

TEST(Progress, BeginsAtItsStartAndWaitsForNobody) {
  const Progress progress;

  EXPECT_EQ(progress.phase(), Phase::starting);
  EXPECT_EQ(progress.counter(), 0u);
  EXPECT_EQ(progress.collectives(), 0u);
  EXPECT_FALSE(progress.waiting());
}

TEST(Progress, EnteringAPhaseIsASignOfLife) {
  Progress progress;
  progress.enter(Phase::reading);

  EXPECT_EQ(progress.phase(), Phase::reading);
  EXPECT_EQ(progress.counter(), 1u);
  progress.advance();
  EXPECT_EQ(progress.counter(), 2u);
  EXPECT_EQ(progress.phase(), Phase::reading);
}

TEST(InCollective, WaitsWhileItLivesAndCountsOne) {
  Progress progress;
  {
    const InCollective inside(progress);
    EXPECT_TRUE(progress.waiting());
    EXPECT_EQ(progress.collectives(), 1u);
    EXPECT_EQ(progress.counter(), 1u);
  }
  EXPECT_FALSE(progress.waiting());
  EXPECT_EQ(progress.collectives(), 1u);
  EXPECT_EQ(progress.counter(), 2u);
}

TEST(Progress, AWaitOutsideOfACollectiveIsNoCollective) {
  Progress progress;
  progress.begin_wait();
  EXPECT_TRUE(progress.waiting());
  EXPECT_EQ(progress.counter(), 1u);
  progress.end_wait();
  EXPECT_FALSE(progress.waiting());
  EXPECT_EQ(progress.counter(), 2u);
  EXPECT_EQ(progress.collectives(), 0u);
}

TEST(InCollective, EndsWhereTheCollectiveThrows) {
  Progress progress;
  try {
    const InCollective inside(progress);
    throw std::runtime_error("a peer is gone");
  } catch (const std::runtime_error&) {
  }
  EXPECT_FALSE(progress.waiting());
}

TEST(InPhase, ReturnsToThePhaseBeforeThroughEveryDepth) {
  Progress progress;
  progress.enter(Phase::computing);
  {
    const InPhase saving(progress, Phase::saving);
    EXPECT_EQ(progress.phase(), Phase::saving);
    {
      const InPhase syncing(progress, Phase::syncing);
      EXPECT_EQ(progress.phase(), Phase::syncing);
    }
    EXPECT_EQ(progress.phase(), Phase::saving);
  }
  EXPECT_EQ(progress.phase(), Phase::computing);
}

TEST(InPhase, ReturnsWhereItsWorkThrows) {
  Progress progress;
  progress.enter(Phase::evaluating);
  try {
    const InPhase loading(progress, Phase::loading);
    throw std::runtime_error("no file");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(progress.phase(), Phase::evaluating);
}

TEST(Progress, CountsTheWorkOfAllThreads) {
  Progress progress;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        progress.advance();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(progress.counter(), 20'000u);
}

TEST(Phase, EveryOneHasANameOfItsOwn) {
  std::set<std::string> names;
  for (std::uint32_t phase = 0; phase < kPhases; ++phase) {
    names.insert(name_of(static_cast<Phase>(phase)));
  }
  EXPECT_EQ(names.size(), kPhases);
  EXPECT_EQ(names.count("unknown"), 0u);
  EXPECT_STREQ(name_of(Phase::starting), "starting");
  EXPECT_STREQ(name_of(Phase::ending), "ending");
  EXPECT_STREQ(name_of(static_cast<Phase>(kPhases)), "unknown");
}

}  // namespace
}  // namespace keyshard
