// Who owns what: runs that cover their numbers once, owners that agree with them, and maximal nodes
// that are those of the tree.
#include "runtime/runs.hpp"

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// Whether [begin, begin + size) is a subtree of the complete binary tree over the numbers.
bool is_node(std::int64_t begin, std::int64_t size) {
  return size > 0 && (size & (size - 1)) == 0 && begin % size == 0;
}

/// The maximal nodes of a run by their definition: all nodes inside it that lie in no larger one.
std::vector<Range> slow_nodes(Range run) {
  std::vector<Range> nodes;
  for (std::int64_t begin = run.begin; begin < run.end;) {
    std::int64_t largest = 1;
    for (std::int64_t size = 1; begin + size <= run.end; ++size) {
      largest = is_node(begin, size) ? size : largest;
    }
    nodes.push_back({begin, begin + largest});
    begin += largest;
  }
  return nodes;
}

TEST(Range, HoldsItsBeginAndNotItsEnd) {
  const Range range{3, 5};

  EXPECT_EQ(range.size(), 2);
  EXPECT_FALSE(range.contains(2));
  EXPECT_TRUE(range.contains(3));
  EXPECT_TRUE(range.contains(4));
  EXPECT_FALSE(range.contains(5));
  EXPECT_FALSE((Range{3, 3}).contains(3));
}

TEST(RunOf, GivesTheRunsThatAreWorkedOutByHand) {
  // Seven numbers on three ranks: floor(7 r / 3) = 0, 2, 4, 7.
  EXPECT_EQ(run_of(0, 3, 7), (Range{0, 2}));
  EXPECT_EQ(run_of(1, 3, 7), (Range{2, 4}));
  EXPECT_EQ(run_of(2, 3, 7), (Range{4, 7}));
  // Fewer numbers than ranks: some ranks have none.
  EXPECT_EQ(run_of(0, 3, 2), (Range{0, 0}));
  EXPECT_EQ(run_of(1, 3, 2), (Range{0, 1}));
  EXPECT_EQ(run_of(2, 3, 2), (Range{1, 2}));
}

TEST(RunOf, CoversEveryNumberOnceAndInOrder) {
  for (std::int64_t n = 0; n <= 70; ++n) {
    for (std::int64_t ranks = 1; ranks <= 20; ++ranks) {
      std::int64_t next = 0;
      for (std::int64_t rank = 0; rank < ranks; ++rank) {
        const Range run = run_of(rank, ranks, n);
        EXPECT_EQ(run.begin, next) << "rank " << rank << " of " << ranks << ", " << n << " numbers";
        next = run.end;
      }
      EXPECT_EQ(next, n) << ranks << " ranks";
    }
  }
}

TEST(RunOf, DiffersByAtMostOneNumberBetweenRanks) {
  for (const std::int64_t n : {1, 7, 64, 1000, 1024}) {
    for (std::int64_t ranks = 1; ranks <= 40; ++ranks) {
      for (std::int64_t rank = 0; rank < ranks; ++rank) {
        const std::int64_t size = run_of(rank, ranks, n).size();
        EXPECT_GE(size, n / ranks);
        EXPECT_LE(size, (n + ranks - 1) / ranks);
      }
    }
  }
}

TEST(OwnerOf, IsTheRankWhoseRunHoldsTheNumber) {
  for (std::int64_t n = 1; n <= 130; ++n) {
    for (std::int64_t ranks = 1; ranks <= 33; ++ranks) {
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t owner = owner_of(i, ranks, n);
        ASSERT_TRUE(0 <= owner && owner < ranks) << i << " of " << n << " on " << ranks;
        ASSERT_TRUE(run_of(owner, ranks, n).contains(i)) << i << " of " << n << " on " << ranks;
      }
    }
  }
}

TEST(OwnerOf, AgreesWithTheRunsOfTenThousandMillionNumbers) {
  const std::int64_t n = 10'000'000'019, ranks = 4099;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const Range run = run_of(rank, ranks, n);
    EXPECT_EQ(owner_of(run.begin, ranks, n), rank);
    EXPECT_EQ(owner_of(run.end - 1, ranks, n), rank);
  }
}

TEST(NodesOf, GivesTheNodesThatAreWorkedOutByHand) {
  EXPECT_EQ(nodes_of({0, 8}), (std::vector<Range>{{0, 8}}));
  EXPECT_EQ(nodes_of({0, 7}), (std::vector<Range>{{0, 4}, {4, 6}, {6, 7}}));
  EXPECT_EQ(nodes_of({3, 11}), (std::vector<Range>{{3, 4}, {4, 8}, {8, 10}, {10, 11}}));
  EXPECT_EQ(nodes_of({5, 5}), std::vector<Range>{});
  EXPECT_EQ(nodes_of({6, 7}), (std::vector<Range>{{6, 7}}));
}

TEST(NodesOf, AreThoseOfTheDefinitionForEveryRun) {
  for (std::int64_t begin = 0; begin <= 66; ++begin) {
    for (std::int64_t end = begin; end <= 66; ++end) {
      EXPECT_EQ(nodes_of({begin, end}), slow_nodes({begin, end})) << begin << " to " << end;
    }
  }
}

TEST(NodesOf, AreAtMostTwiceTheDepthOfTheTree) {
  for (const std::int64_t depth : {1, 3, 10, 20}) {
    const std::int64_t n = std::int64_t{1} << depth;
    // The worst run: all but the first and the last number.
    EXPECT_LE(static_cast<std::int64_t>(nodes_of({1, n - 1}).size()), 2 * depth);
    EXPECT_EQ(nodes_of({0, n}).size(), 1u);
  }
}

TEST(NodesOf, OfTwoRunsThatTouchHoldNoNumberTwice) {
  const std::int64_t n = 1024;
  for (const std::int64_t ranks : {1, 2, 3, 5, 8, 100}) {
    std::int64_t next = 0;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      for (const Range node : nodes_of(run_of(rank, ranks, n))) {
        EXPECT_EQ(node.begin, next);
        EXPECT_TRUE(is_node(node.begin, node.size()));
        next = node.end;
      }
    }
    EXPECT_EQ(next, n);
  }
}

}  // namespace
}  // namespace keyshard
