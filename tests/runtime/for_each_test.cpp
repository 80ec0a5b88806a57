#include "runtime/for_each.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

TEST(ForBlocks, FetchesEveryBlockBeforeItIsWorkedOn) {
  for (const int threads : {1, 2}) {
    Stream<Cpu> stream(threads);
    std::vector<int> state(100);
    const auto fetch = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        state[static_cast<std::size_t>(i)] += 1;
      }
    };
    for_blocks(stream, 100, 7, fetch, [&](std::int64_t begin, std::int64_t end) {
      EXPECT_LE(end - begin, 7);
      for (std::int64_t i = begin; i < end; ++i) {
        state[static_cast<std::size_t>(i)] *= 10;
      }
    });
    EXPECT_EQ(state, std::vector<int>(100, 10)) << threads;
  }
}

}  // namespace
}  // namespace keyshard
