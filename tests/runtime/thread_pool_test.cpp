#include "runtime/thread_pool.hpp"

#include <atomic>
#include <cfenv>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/cpu_quota.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

TEST(ThreadPool, RunsABodyOnceOnEveryThread) {
  for (const int threads : testing::thread_counts({1, 2, 5})) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(threads));
    for (int round = 0; round < 50; ++round) {
      pool.run([&](int thread) { ++calls[static_cast<std::size_t>(thread)]; });
    }

    EXPECT_EQ(pool.size(), threads);
    for (const auto& count : calls) {
      EXPECT_EQ(count, 50);
    }
  }
}

TEST(ThreadPool, HasAtLeastOneThread) { EXPECT_EQ(ThreadPool(0).size(), 1); }

TEST(ThreadPool, DealsSharesThatCoverARangeOnce) {
  ThreadPool pool(3);
  for (std::int64_t n : {0, 1, 2, 3, 10, 1001}) {
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
    pool.for_shares(n, [&](std::int64_t begin, std::int64_t end, int) {
      EXPECT_LT(begin, end);
      for (std::int64_t i = begin; i < end; ++i) {
        ++seen[static_cast<std::size_t>(i)];
      }
    });

    for (const auto& count : seen) {
      EXPECT_EQ(count, 1);
    }
  }
}

TEST(ThreadPool, TakesEveryTaskOnce) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> seen(500);

  pool.for_tasks(500, [&](std::int64_t task, int) { ++seen[static_cast<std::size_t>(task)]; });

  for (const auto& count : seen) {
    EXPECT_EQ(count, 1);
  }
}

TEST(ThreadPool, RethrowsWhatTheLowestFailingThreadThrewAndGoesOn) {
  ThreadPool pool(4);
  try {
    pool.run([](int thread) {
      if (thread >= 2) {
        throw std::runtime_error(std::to_string(thread));
      }
    });
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "2");
  }
  std::atomic<int> calls{0};
  pool.run([&](int) { ++calls; });

  EXPECT_EQ(calls, 4);
}

TEST(ThreadPool, SetsTheDefaultRoundingModeOnItsThreads) {
  std::fesetround(FE_DOWNWARD);
  ThreadPool pool(2);
  std::vector<float> thirds(2);
  const volatile float one = 1, three = 3;
  pool.run([&](int thread) { thirds[static_cast<std::size_t>(thread)] = one / three; });
  std::fesetround(FE_TONEAREST);

  EXPECT_EQ(thirds[0], 0x1.555556p-2f);  // the float next to 1/3, above it
  EXPECT_EQ(thirds[1], 0x1.555556p-2f);
}

/// Seconds of CPU time of all threads of this process.
double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// The same that a pool of four threads uses in a second behind its regions.
double cpu_seconds_of_an_idle_pool() {
  ThreadPool pool(4);
  std::atomic<int> calls{0};
  for (int region = 0; region < 100; ++region) {
    pool.run([&](int) { ++calls; });
  }
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return cpu_seconds() - before;
}

TEST(ThreadPool, UsesNoCpuWhileItIsIdle) { EXPECT_LT(cpu_seconds_of_an_idle_pool(), 0.01); }

TEST(ThreadPool, UsesNoCpuInMoreProcessesThanCores) {
  std::vector<pid_t> children;
  for (int i = 0; i < 2 * default_threads(1).cores; ++i) {
    children.push_back(fork());
    ASSERT_GE(children.back(), 0);
    if (children.back() == 0) {
      _exit(cpu_seconds_of_an_idle_pool() < 0.01 ? 0 : 1);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "an idle second took 10 ms of CPU time or more";
  }
}

TEST(DefaultThreads, AreAShareOfTheCoresAndAtLeastOne) {
  const ThreadCount alone = default_threads(1);
  EXPECT_GE(alone.threads, 1);
  EXPECT_LE(alone.threads, alone.affinity);
  EXPECT_LE(alone.affinity, alone.cores);

  EXPECT_EQ(default_threads(10 * alone.cores).threads, 1);
}

TEST(DefaultThreads, AreNoMoreThanTheControlGroupAllows) {
  const int unlimited = default_threads(1, 0).threads;
  EXPECT_FALSE(default_threads(1, 0).limited_by_quota);
  EXPECT_EQ(default_threads(1, 0.5).threads, 1);
  EXPECT_EQ(default_threads(1, 0.5).limited_by_quota, unlimited > 1);
  EXPECT_EQ(default_threads(1, 1.9).threads, 1);
  EXPECT_EQ(default_threads(1, unlimited + 0.5).threads, unlimited);
  EXPECT_EQ(default_threads(2, 2).threads, 1);
}

TEST(CpuQuota, IsTheLeastOfTheControlGroupAndThoseAroundIt) {
  const testing::ScratchFolder folder;
  const auto put = [&](const std::string& name, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(folder.path(name)).parent_path());
    folder.write(name, content);
  };
  put("two/cpu.max", "max 100000\n");
  put("two/jobs/cpu.max", "150000 100000\n");
  put("two/jobs/mine/cpu.max", "300000 100000\n");
  put("two/free/cpu.max", "max 100000\n");
  EXPECT_EQ(cpu_quota("0::/jobs/mine\n", folder.path("two")), 1.5);
  EXPECT_EQ(cpu_quota("0::/free\n", folder.path("two")), 0);
  EXPECT_EQ(cpu_quota("0::/gone\n", folder.path("two")), 0);
  EXPECT_EQ(cpu_quota("0::/\n", folder.path("two")), 0);
  EXPECT_EQ(cpu_quota("", folder.path("two")), 0);

  put("one/cpu/box/cpu.cfs_quota_us", "50000\n");
  put("one/cpu/box/cpu.cfs_period_us", "100000\n");
  put("one/cpu/cpu.cfs_quota_us", "-1\n");
  put("one/cpu/cpu.cfs_period_us", "100000\n");
  const std::string groups = "3:cpuset:/\n2:cpu,cpuacct:/box\n1:memory:/box\n0::/\n";
  EXPECT_EQ(cpu_quota(groups, folder.path("one")), 0.5);
  EXPECT_EQ(cpu_quota("2:cpu,cpuacct:/\n", folder.path("one")), 0);
}

}  // namespace
}  // namespace keyshard
