// The whole matrix: P = 1 2 3 4 5 8 ranks x T = 1 2 threads, and T = 3, x exchange rows, reduced,
// auto; V = 16, V = 8, and V = 4 so that there are more ranks than slices; and random delays.
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "tests/step/tiny_job.hpp"
#include "tests/support/delays.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

const bool kInterruptible = pin_interruptible_products();

struct Case {
  int ranks;
  int threads;
  std::string exchange;
  std::int64_t slices;
};

class SameBitsMatrix : public ::testing::TestWithParam<Case> {};

/// The result of one rank, one thread and rows: the same for all cases of a number of slices.
const TinyResult& reference(std::int64_t slices) {
  static std::map<std::int64_t, TinyResult> results;
  if (!results.contains(slices)) {
    const ScratchFolder folder;
    results[slices] = train_on_threads(tiny_job(folder.path(""), "rows", slices), 1, 1);
  }
  return results[slices];
}

TEST_P(SameBitsMatrix, HasTheDigestAndLossesOfOneRank) {
  const Case c = GetParam();
  const ScratchFolder folder;

  EXPECT_EQ(train_on_threads(tiny_job(folder.path(""), c.exchange, c.slices), c.ranks, c.threads),
            reference(c.slices));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int ranks : {1, 2, 3, 4, 5, 8}) {
    for (const int threads : {1, 2, 3}) {
      for (const char* exchange : {"rows", "reduced", "auto"}) {
        all.push_back({ranks, threads, exchange, 16});
      }
    }
    all.push_back({ranks, 1, "auto", 4});
    all.push_back({ranks, 2, "auto", 8});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, SameBitsMatrix, ::testing::ValuesIn(cases()), [](const auto& test) {
  return "Ranks" + std::to_string(test.param.ranks) + "Threads" +
         std::to_string(test.param.threads) + test.param.exchange + "Slices" +
         std::to_string(test.param.slices);
});

TEST(SameBitsUnderDelays, HoldWhereRanksAndThreadsAreLateAtRandom) {
  for (const Case& c : {Case{1, 3, "rows", 16}, Case{2, 2, "auto", 16}, Case{3, 3, "reduced", 16},
                        Case{5, 2, "rows", 16}, Case{5, 1, "auto", 4}, Case{8, 1, "auto", 16}}) {
    const ScratchFolder folder;
    const JobConfig config = tiny_job(folder.path(""), c.exchange, c.slices);
    const TinyResult& expected = reference(c.slices);
    for (const unsigned seed : {1u, 2u}) {
      const ThreadDelays delays(seed);
      std::mutex mutex;
      run_ranks(c.ranks, c.threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        DelayedCommunicator delayed(communicator, seed);
        const TinyResult result = train_tiny(config, delayed, stream);
        const std::lock_guard lock(mutex);
        EXPECT_EQ(result, expected)
            << c.ranks << " x " << c.threads << " " << c.exchange << ", seed " << seed;
      });
      EXPECT_GT(delays.count(), 0);
    }
  }
}

}  // namespace
}  // namespace keyshard::testing
