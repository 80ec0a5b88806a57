// The whole matrix: P = 1 2 3 4 5 8 ranks x T = 1 2 threads x exchange rows, reduced, auto; V = 16,
// and V = 4 so that there are more ranks than slices.
#include <map>

#include <gtest/gtest.h>

#include "tests/step/tiny_job.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

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
    for (const int threads : {1, 2}) {
      for (const char* exchange : {"rows", "reduced", "auto"}) {
        all.push_back({ranks, threads, exchange, 16});
      }
    }
    all.push_back({ranks, 1, "auto", 4});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, SameBitsMatrix, ::testing::ValuesIn(cases()), [](const auto& test) {
  return "Ranks" + std::to_string(test.param.ranks) + "Threads" +
         std::to_string(test.param.threads) + test.param.exchange + "Slices" +
         std::to_string(test.param.slices);
});

}  // namespace
}  // namespace keyshard::testing
