// The index against a plain map, while it grows.
#include "embedding/rows/key_index.hpp"

#include <algorithm>
#include <map>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/rules/partitioners.hpp"
#include "runtime/error.hpp"
#include "runtime/team.hpp"

namespace keyshard {
namespace {

const HashPartitioner kPartitioner{0x5A17};

RowId find(const KeyIndex<Cpu>& index, Key key) {
  return KeyIndexRef::find(Solo{}, key, index.ref().home_of(key, kPartitioner.shard(key)));
}

TEST(KeyIndex, FindsEveryKeyAndNoOtherWhileItGrows) {
  KeyIndex<Cpu> index({0, kShards}, 7);
  constexpr RowId kKeys = 60'000;
  for (RowId row = 0; row < kKeys; ++row) {
    const Key key = Key{row} * 3 - 1000;  // small, large and negative ids
    EXPECT_EQ(find(index, key), kNoRow);
    index.insert(key, kPartitioner.shard(key), row);
  }
  EXPECT_EQ(index.size(), kKeys);
  for (RowId row = 0; row < kKeys; ++row) {
    EXPECT_EQ(find(index, Key{row} * 3 - 1000), row);
    EXPECT_EQ(find(index, Key{row} * 3 - 999), kNoRow);
  }
}

TEST(KeyIndex, AReplacedShardHasItsNewKeysAloneAndGivesRoomBack) {
  KeyIndex<Cpu> index({0, kShards}, 7);
  std::vector<Key> keys;
  for (Key key = 0; keys.size() < 1000; ++key) {
    if (kPartitioner.shard(key) == 3) {
      index.insert(key, 3, static_cast<RowId>(keys.size()));
      keys.push_back(key);
    }
  }
  const std::uint32_t full = index.ref().segments[3].num_buckets;
  const std::vector<Key> kept{keys[5], keys[999], keys[17]};
  const std::vector<RowId> rows{0, 1, 2};
  index.replace(3, kept.data(), rows.data(), 3);
  EXPECT_EQ(index.size(), 3);
  EXPECT_LT(index.ref().segments[3].num_buckets, full / 10);
  for (const Key key : keys) {
    const auto at = std::find(kept.begin(), kept.end(), key);
    EXPECT_EQ(find(index, key), at == kept.end() ? kNoRow : static_cast<RowId>(at - kept.begin()));
  }
  // No mark of a key that is gone sends a search on: every search for another key ends at once.
  const KeySegment& segment = index.ref().segments[3];
  for (std::uint32_t bucket = 0; bucket < segment.num_buckets; ++bucket) {
    EXPECT_EQ(segment.buckets[bucket].marks, 0);
  }
  index.replace(3, kept.data(), rows.data(), 0);
  EXPECT_EQ(index.size(), 0);
  EXPECT_EQ(find(index, keys[5]), kNoRow);
  index.insert(keys[5], 3, 9);
  EXPECT_EQ(find(index, keys[5]), 9u);
}

TEST(KeyIndex, EveryValueIsAKey) {
  KeyIndex<Cpu> index({0, kShards}, 7);
  RowId row = 0;
  for (const Key key : {Key{0}, ~Key{0}, Key{1} << 63, Key{kNoRow}}) {
    index.insert(key, kPartitioner.shard(key), row);
    EXPECT_EQ(find(index, key), row++);
  }
}

TEST(KeyIndex, ThreadsInsertKeysOfDifferentShards) {
  KeyIndex<Cpu> index({0, kShards}, 7);
  constexpr RowId kKeys = 20'000;
  const auto insert_half = [&](std::uint32_t half) {
    for (RowId row = 0; row < kKeys; ++row) {
      if (kPartitioner.shard(row) / (kShards / 2) == half) {
        index.insert(row, kPartitioner.shard(row), row);
      }
    }
  };
  std::thread other(insert_half, 0u);
  insert_half(1u);
  other.join();
  EXPECT_EQ(index.size(), kKeys);
  for (RowId row = 0; row < kKeys; ++row) {
    EXPECT_EQ(find(index, row), row);
  }
}

TEST(KeyIndex, SegmentsOfOneSizeGrowAtDifferentTimes) {
  // Every shard gets one key at a time, so all have the same number of keys at all times.
  constexpr std::uint32_t kFew = 64;
  KeyIndex<Cpu> index({0, kFew}, 7);
  std::size_t most = 0;
  for (Key round = 0; round < 4000; ++round) {
    std::size_t grown = 0;
    for (std::uint32_t shard = 0; shard < kFew; ++shard) {
      const std::uint32_t before = index.ref().segments[shard].num_buckets;
      index.insert(round * kFew + shard, shard, static_cast<RowId>(round));
      grown += index.ref().segments[shard].num_buckets != before;
    }
    most = round < 200 ? 0 : std::max(most, grown);
  }
  EXPECT_GT(most, 0u);
  EXPECT_LE(most, kFew / 4);
}

TEST(KeyIndex, ReservedRoomIsNotGrownAgain) {
  KeyIndex<Cpu> index({0, kShards}, 7);
  index.reserve(3u, 1000);
  const KeyBucket* buckets = index.ref().segments[3].buckets;
  for (Key key = 0; key < 1000; ++key) {
    index.insert(key, 3, static_cast<RowId>(key));
  }
  EXPECT_EQ(index.ref().segments[3].buckets, buckets);
  EXPECT_EQ(index.ref().segments[4].buckets, nullptr);
}

/// The buckets that a search reads for all of these keys, which are in the index.
std::int64_t buckets_read(const KeyIndex<Cpu>& index, Span<const Key> keys) {
  std::int64_t read = 0;
  for (const Key key : keys) {
    const KeyIndexRef::Home home = index.ref().home_of(key, kPartitioner.shard(key));
    const KeyBucket* begin = home.segment->buckets;
    const KeyBucket* at = home.bucket;
    const auto holds_key = [&] { return std::find(at->keys, at->keys + at->used, key); };
    for (++read; holds_key() == at->keys + at->used; ++read) {
      at = at + 1 == begin + home.segment->num_buckets ? begin : at + 1;
    }
  }
  return read;
}

TEST(KeyIndex, KeysChosenForOneSeedSlowNoSearchWithAnother) {
  // Keys of one shard whose search begins in the first 256th of its buckets, with seed 7.
  const KeyIndexRef chosen{nullptr, 0, 7};
  std::vector<Key> keys;
  for (Key key = 0; keys.size() < 2'000; ++key) {
    if (KeyIndexRef::home(chosen.hash(key), 256) == 0 && kPartitioner.shard(key) < 8) {
      keys.push_back(key);
    }
  }
  for (const auto& [seed, least, most] :
       {std::tuple(7u, 20.0, 1e9), std::tuple(8u, 1.0, 1.5), std::tuple(9u, 1.0, 1.5)}) {
    KeyIndex<Cpu> index({0, kShards}, seed);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      index.insert(keys[i], kPartitioner.shard(keys[i]), static_cast<RowId>(i));
    }
    const double mean = static_cast<double>(buckets_read(index, keys)) / 2'000;
    EXPECT_GE(mean, least) << seed;
    EXPECT_LE(mean, most) << seed;
  }
}

TEST(Partitioner, AMisspeltNameIsRefusedWithTheNearest) {
  try {
    partitioner_of("modul", "table");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    EXPECT_EQ(error.text(),
              "expected a partitioner of hash, modulo: found \"modul\"; did you mean \"modulo\"?");
  }
}

}  // namespace
}  // namespace keyshard
