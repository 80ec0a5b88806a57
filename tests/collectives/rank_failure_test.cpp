// Ranks that are processes and fail: the job ends, with the code and the message of the failure.
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/job.hpp"

namespace keyshard::testing {
namespace {

Ending run_job(const std::string& way) {
  return testing::run_job(KEYSHARD_MPIRUN, KEYSHARD_JOB, way);
}

TEST(RankFailure, AJobWithoutFailureEndsWithZero) {
  const Ending ending = run_job("none");
  EXPECT_EQ(ending.code, 0) << ending.output;
  EXPECT_EQ(ending.output, "");
}

TEST(RankFailure, AnErrorOfOneRankEndsAllWithItsMessage) {
  const Ending ending = run_job("throw");
  EXPECT_EQ(ending.code, 1) << ending.output;
  expect_says(ending, "abort: rank 2: the disk is full");
}

TEST(RankFailure, APartShorterThanExpectedNamesItsSender) {
  const Ending ending = run_job("short");
  EXPECT_EQ(ending.code, 1) << ending.output;
  expect_says(ending, "abort: rank 0: all_to_all: expected 8 bytes from rank 2: found 4");
}

TEST(RankFailure, AKilledRankEndsTheJob) {
  const Ending ending = run_job("kill");
  EXPECT_NE(ending.code, 0) << ending.output;
  EXPECT_NE(ending.code, 124) << ending.output;
}

TEST(RankFailure, AStoppedRankIsNamedWithItsPhaseAndTheJobEndsWithSeventy) {
  for (const char* phase : {"reading", "saving"}) {
    const Ending ending = run_job(fmt::format("stop-{}", phase));
    EXPECT_EQ(ending.code, 70) << ending.output;
    expect_says(ending, fmt::format("abort: rank 2 is stuck in phase {} for 2 s", phase));
  }
}

TEST(RankFailure, RanksThatHandleSigtermEndToo) {
  const Ending ending = run_job("stop-despite-term");
  EXPECT_EQ(ending.code, 70) << ending.output;
}

}  // namespace
}  // namespace keyshard::testing
