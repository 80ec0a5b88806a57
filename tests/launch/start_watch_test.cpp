// What a rank says where the ranks of its job have not met, and how it finds the ranks of its
// machine.
#include "launch/start_watch.hpp"

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr const char* kBegin = "the 4 ranks have not met within 9.5 s (job.start_seconds): ";

std::string why(int local, const std::vector<LocalRank>& here) {
  const std::string text = why_not_met({0, 4, local, "job"}, here, "node1", 9.5);
  EXPECT_TRUE(text.starts_with(kBegin)) << text;
  return text.substr(std::string(kBegin).size());
}

TEST(WhyNotMet, NamesTheRankThatIsStopped) {
  EXPECT_EQ(why(2, {{0, 10, false}, {1, 11, true}}),
            "rank 1 on host node1 is stopped (process 11)");
}

TEST(WhyNotMet, NamesTheRanksThatMayBeMissing) {
  EXPECT_EQ(why(2, {{0, 10, false}, {1, 11, false}}),
            "on host node1 run the ranks 0, 1; missing is one of the ranks 2, 3, on another host "
            "that does not say this");
  EXPECT_EQ(why(4, {{0, 10, false}, {3, 11, false}}),
            "on host node1 run the ranks 0, 3, but not all 4 of this host; missing is one of the "
            "ranks 1, 2");
  EXPECT_EQ(why(4, {{0, 10, false}, {1, 11, false}, {2, 12, false}, {3, 13, false}}),
            "on host node1 run the ranks 0, 1, 2, 3, and none of them is stopped");
  EXPECT_EQ(why(1, {}),
            "rank 0 on host node1 is ready; missing is one of the ranks 0, 1, 2, 3, on another "
            "host that does not say this");
}

TEST(LocalRanks, AreTheProcessesOfTheJobAndWhetherTheyAreStopped) {
  const ScratchFolder folder;
  const std::string name = "job-of-" + std::to_string(::getpid());
  const auto start = [&](int rank, const std::string& job) {
    return std::make_unique<RunningCommand>(
        folder,
        "env OMPI_COMM_WORLD_RANK=" + std::to_string(rank) + " PMIX_NAMESPACE=" + job + " sleep 60",
        job + std::to_string(rank));
  };
  const auto other = start(7, name + "x"), second = start(1, name), first = start(0, name);
  const LaunchedJob job{0, 2, 2, name};
  EXPECT_TRUE(wait_until([&] { return local_ranks(job).size() == 2; }));
  std::vector<LocalRank> found = local_ranks(job);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].rank, 0);
  EXPECT_EQ(found[1].rank, 1);
  EXPECT_FALSE(found[0].stopped);
  ::kill(found[1].process, SIGSTOP);
  EXPECT_TRUE(wait_until([&] { return local_ranks(job).at(1).stopped; }));
  EXPECT_FALSE(local_ranks(job).at(0).stopped);
  EXPECT_TRUE(local_ranks({0, 2, 2, ""}).empty());
  for (const LocalRank& rank : found) {
    ::kill(rank.process, SIGKILL);
  }
}

TEST(StartWatch, EndsWithoutAWordWhereTheRanksMeet) {
  ::setenv("OMPI_COMM_WORLD_RANK", "0", 1);
  ::setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
  {
    StartWatch watch(600);
    watch.end();
    watch.end();
  }
  ::unsetenv("OMPI_COMM_WORLD_RANK");
  ::unsetenv("OMPI_COMM_WORLD_SIZE");
  EXPECT_EQ(launched_job(), std::nullopt);
}

TEST(StartWatch, EndsTheProcessOfARankThatWaitsTooLong) {
  EXPECT_EXIT(
      {
        ::setenv("OMPI_COMM_WORLD_RANK", "3", 1);
        ::setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
        const StartWatch watch(0.2);
        ::pause();
      },
      ::testing::ExitedWithCode(kExitWatchdog), "have not met within 0.2 s");
}

}  // namespace
}  // namespace keyshard::testing
