// Ranks that are processes, exchange device data by NCCL, and fail: the job ends, with the code and
// the message of the failure.
#include <string>

#include <gtest/gtest.h>

#include "tests/support/job.hpp"

namespace keyshard::testing {
namespace {

Ending run_job(const std::string& way) {
  return testing::run_job(KEYSHARD_MPIRUN, KEYSHARD_JOB, way);
}

TEST(NcclFailure, AJobWithoutFailureEndsWithZero) {
  const Ending ending = run_job("none");
  EXPECT_EQ(ending.code, 0) << ending.output;
  EXPECT_EQ(ending.output, "");
}

TEST(NcclFailure, AnErrorOfOneRankEndsAllWithItsMessage) {
  const Ending ending = run_job("throw");
  EXPECT_EQ(ending.code, 1) << ending.output;
  expect_says(ending, "abort: rank 2: the disk is full");
}

TEST(NcclFailure, APartShorterThanExpectedNamesBothRanks) {
  const Ending ending = run_job("short");
  EXPECT_EQ(ending.code, 1) << ending.output;
  expect_says(ending, "rank 0 expects 64 bytes of rank 2");
  expect_says(ending, "found 32 bytes");
}

TEST(NcclFailure, AKilledRankEndsTheJob) {
  const Ending ending = run_job("kill");
  EXPECT_NE(ending.code, 0) << ending.output;
  EXPECT_NE(ending.code, 124) << ending.output;
}

TEST(NcclFailure, AStoppedRankIsNamedWithItsPhaseAndTheJobEndsWithSeventy) {
  const Ending ending = run_job("stop");
  EXPECT_EQ(ending.code, 70) << ending.output;
  expect_says(ending, "abort: rank 2 is stuck in phase reading for 2 s");
}

}  // namespace
}  // namespace keyshard::testing
