// Who owns which shards, with and without a list of ranks.
#include "runtime/shard_owners.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

TEST(ShardOwners, WithoutAListAreAllRanksInTheirOrder) {
  const ShardOwners owners(3, 7);

  EXPECT_TRUE(owners.in_order());
  EXPECT_EQ(owners.runs(), 3);
  // floor(7 r / 3) = 0, 2, 4, 7.
  EXPECT_EQ(owners.shards_of(0), (Range{0, 2}));
  EXPECT_EQ(owners.shards_of(1), (Range{2, 4}));
  EXPECT_EQ(owners.shards_of(2), (Range{4, 7}));
  EXPECT_EQ(owners.owner(3), 1);
  EXPECT_EQ(owners, ShardOwners(3, 7, {0, 1, 2}));
}

TEST(ShardOwners, OfAListHaveTheRunsInItsOrder) {
  const ShardOwners owners(4, 8, {3, 1});

  EXPECT_FALSE(owners.in_order());
  EXPECT_EQ(owners.runs(), 2);
  EXPECT_EQ(owners.shards_of(3), (Range{0, 4}));
  EXPECT_EQ(owners.shards_of(1), (Range{4, 8}));
  EXPECT_EQ(owners.shards_of(0).size(), 0);
  EXPECT_EQ(owners.shards_of(2).size(), 0);
  EXPECT_EQ(owners.owner(3), 3);
  EXPECT_EQ(owners.owner(4), 1);
  EXPECT_NE(owners, ShardOwners(4, 8, {1, 3}));
}

TEST(ShardOwners, EachShardIsInTheRunOfItsOwnerAlone) {
  for (const std::vector<std::int64_t>& list :
       {std::vector<std::int64_t>{}, {4}, {0}, {2, 0}, {4, 3, 2, 1, 0}, {1, 2, 3}}) {
    const ShardOwners owners(5, 64, list);
    for (std::int64_t shard = 0; shard < 64; ++shard) {
      for (std::int64_t rank = 0; rank < 5; ++rank) {
        EXPECT_EQ(owners.shards_of(rank).contains(shard), owners.owner(shard) == rank);
      }
    }
  }
}

TEST(ShardOwners, AreRanksOfTheJobEachOnce) {
  EXPECT_TRUE(ShardOwners::valid(2, {1}));
  for (const std::vector<std::int64_t>& list :
       {std::vector<std::int64_t>{2}, {-1}, {0, 0}, {1, 0, 1}}) {
    EXPECT_FALSE(ShardOwners::valid(2, list));
    EXPECT_THROW(ShardOwners(2, 8, list), Error);
  }
}

}  // namespace
}  // namespace keyshard
