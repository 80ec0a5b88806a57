#include "runtime/columns.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// One lane of several.
struct Lane {
  int lane;
  int lanes;

  int thread_rank() const { return lane; }

  int num_threads() const { return lanes; }
};

template <int kColumns>
void expect_covered(std::int64_t dim, int lanes) {
  std::vector<int> seen(static_cast<std::size_t>(dim));
  for (int lane = 0; lane < lanes; ++lane) {
    for_columns<kColumns>(Lane{lane, lanes}, dim, [&](std::int64_t first, auto width) {
      EXPECT_LE(width, kColumns);
      for (std::int64_t d = first; d < first + width; ++d) {
        ++seen[static_cast<std::size_t>(d)];
      }
    });
  }
  EXPECT_EQ(seen, std::vector<int>(static_cast<std::size_t>(dim), 1)) << dim << " on " << lanes;
}

TEST(Columns, AreEachCoveredOnceByTheLanes) {
  for (std::int64_t dim = 1; dim <= 200; ++dim) {
    for (const int lanes : {1, 8, 32}) {
      expect_covered<1>(dim, lanes);
      expect_covered<4>(dim, lanes);
      expect_covered<64>(dim, lanes);
    }
  }
}

TEST(Columns, AUsualWidthIsKnownToTheCompilerAndAnyOtherIsGivenAsItIs) {
  for (const std::int64_t width : {1, 2, 4, 8, 10, 16, 32, 64}) {
    bool fixed = false;
    with_width(width, [&](auto w) {
      EXPECT_EQ(w, width);
      fixed = !std::is_same_v<decltype(w), std::int64_t>;
    });
    EXPECT_EQ(fixed, width != 2 && width != 10) << width;
  }
}

}  // namespace
}  // namespace keyshard
