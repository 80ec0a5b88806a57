// The key index of a device against a plain map, while it grows, and its invariants.
#include "embedding/rows/key_index.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "embedding/rows/bucket_functors.hpp"
#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/shard_rows.hpp"
#include "runtime/primitives_cuda.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard {
namespace {

using testing::for_seeds;
using KeyIndexOfDevice = testing::SimTest;
using Rows = std::map<Key, RowId>;

constexpr std::int64_t kSizes[] = {0, 1, 31, 32, 33, 1000};

/// All keys lie in the shards [0, kFew) by modulo, so that they come together in few buckets.
constexpr std::int64_t kFew = 4;

Key key_of(std::uint64_t i) { return (i / kFew - 40) * kShards + i % kFew; }

std::vector<RowId> find(Stream<Cuda>& stream, const KeyIndex<Cuda>& index,
                        const std::vector<Key>& keys) {
  const Buffer<Key, Cuda> in = to_device(stream, keys);
  Buffer<RowId, Cuda> rows(stream, in.size());
  for_each_row(stream, in.size(),
               FindRow<ModuloPartitioner>{index.ref(), {}, in.data(), rows.data()});
  return to_host(stream, rows);
}

/// Expects that exactly `expected` is found, and nothing of keys that are not in it.
void expect_found(Stream<Cuda>& stream, const KeyIndex<Cuda>& index, const Rows& expected) {
  std::vector<Key> keys;
  std::vector<RowId> rows;
  for (const auto& [key, row] : expected) {
    for (const Key other : {key, key + kShards}) {
      const auto found = expected.find(other);
      keys.push_back(other);
      rows.push_back(found == expected.end() ? kNoRow : found->second);
    }
  }
  EXPECT_EQ(find(stream, index, keys), rows);
  EXPECT_EQ(index.size(), std::ssize(expected));
}

/// Checks the invariants of key_index.hpp in a shard; returns its keys.
Rows check_shard(Stream<Cuda>& stream, const KeyIndex<Cuda>& index, std::int64_t shard) {
  const KeySegment& segment = index.segment(shard);
  const KeySegment shown = value_at(stream, index.device_segment(shard));
  EXPECT_EQ(shown.buckets, segment.buckets);
  EXPECT_EQ(shown.num_buckets, segment.num_buckets);
  EXPECT_LE(segment.size * 5, segment.num_buckets * KeyBucket::kSlots * 4) << "fuller than 4/5";
  const std::vector<KeyBucket> buckets =
      to_host(stream, Span<const KeyBucket>(segment.buckets, segment.num_buckets));
  Rows rows;
  for (std::uint32_t at = 0; at < buckets.size(); ++at) {
    EXPECT_LE(buckets[at].used, KeyBucket::kSlots);
    for (int slot = 0; slot < buckets[at].used; ++slot) {
      const Key key = buckets[at].keys[slot];
      EXPECT_TRUE(rows.emplace(key, buckets[at].rows[slot]).second) << key << " comes twice";
      const std::uint64_t hash = index.ref().hash(key);
      for (std::uint32_t b = KeyIndexRef::home(hash, segment.num_buckets); b != at;
           b = (b + 1) % segment.num_buckets) {
        EXPECT_EQ(buckets[b].used, KeyBucket::kSlots);
        EXPECT_NE(buckets[b].marks & KeyIndexRef::mark(hash), 0u);
      }
    }
  }
  EXPECT_EQ(std::ssize(rows), index.size(shard));
  return rows;
}

void expect_content(Stream<Cuda>& stream, const KeyIndex<Cuda>& index, const Rows& expected) {
  Rows all;
  for (std::int64_t shard = index.shards().begin; shard < index.shards().end; ++shard) {
    const Rows rows = check_shard(stream, index, shard);
    all.insert(rows.begin(), rows.end());
  }
  EXPECT_EQ(all, expected);
  expect_found(stream, index, expected);
}

/// Keys with their shards, on the device.
struct Call {
  std::vector<Key> keys;
  Buffer<Key, Cuda> device_keys;
  Buffer<std::uint16_t, Cuda> shards;

  /// The keys number [begin, end).
  Call(Stream<Cuda>& stream, std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint16_t> of_keys;
    for (std::uint64_t i = begin; i < end; ++i) {
      keys.push_back(key_of(i));
      of_keys.push_back(static_cast<std::uint16_t>(ModuloPartitioner{}.shard(key_of(i))));
    }
    device_keys = to_device(stream, keys);
    shards = to_device(stream, of_keys);
  }
};

TEST_F(KeyIndexOfDevice, HoldsEveryKeyOnceWhileItGrows) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    KeyIndex<Cuda> index({0, kFew}, 7);
    Rows expected;
    for (const std::int64_t n : kSizes) {
      const auto first = static_cast<RowId>(expected.size());
      const Call call(stream, first, first + static_cast<std::uint64_t>(n));
      insert_keys<Cuda>(stream, {{&index, 0, n, first}}, call.device_keys.data(),
                        call.shards.data());
      for (std::size_t i = 0; i < call.keys.size(); ++i) {
        expected[call.keys[i]] = first + static_cast<RowId>(i);
      }
      expect_content(stream, index, expected);
    }
  });
}

TEST_F(KeyIndexOfDevice, KeysOfSeveralTablesArePlacedTogether) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    KeyIndex<Cuda> one({0, kFew}, 7), none({0, kFew}, 8), other({0, kFew}, 9);
    const Call call(stream, 0, 133);
    insert_keys<Cuda>(stream, {{&one, 0, 100, 0}, {&none, 100, 100, 0}, {&other, 100, 133, 40}},
                      call.device_keys.data(), call.shards.data());
    Rows of_one, of_other;
    for (RowId i = 0; i < 133; ++i) {
      i < 100 ? of_one[call.keys[i]] = i : of_other[call.keys[i]] = 40 + i - 100;
    }
    expect_content(stream, one, of_one);
    expect_content(stream, none, {});
    expect_content(stream, other, of_other);
  });
}

TEST_F(KeyIndexOfDevice, EveryValueIsAKey) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    KeyIndex<Cuda> index({0, kShards}, 7);
    Rows expected;
    for (const Key key : {Key{0}, ~Key{0}, Key{1} << 63, Key{kNoRow}}) {
      const auto row = static_cast<RowId>(expected.size());
      index.insert(ModuloPartitioner{}.shard(key), {&key, 1}, row);
      expected[key] = row;
    }
    expect_content(stream, index, expected);
  });
}

TEST_F(KeyIndexOfDevice, AReplacedShardHasItsNewKeysAloneAndGivesRoomBack) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    KeyIndex<Cuda> index({0, kShards}, 7);
    std::vector<Key> keys;
    for (Key i = 0; i < 1000; ++i) {
      keys.push_back(i * kShards + 3);
    }
    index.insert(3, keys, 0);
    const std::uint32_t full = index.segment(3).num_buckets;
    const std::vector<Key> kept{keys[5], keys[999], keys[17]};
    const std::vector<RowId> rows{2, 0, 1};
    index.replace(3, kept.data(), rows.data(), 3);
    EXPECT_LT(index.segment(3).num_buckets, full / 10);
    expect_content(stream, index, {{kept[0], 2}, {kept[1], 0}, {kept[2], 1}});
    for (const KeyBucket& bucket :
         to_host(stream,
                 Span<const KeyBucket>(index.segment(3).buckets, index.segment(3).num_buckets))) {
      EXPECT_EQ(bucket.marks, 0) << "of a key that is gone";
    }
    index.replace(3, nullptr, nullptr, 0);
    expect_content(stream, index, {});
    index.insert(3, Span<const Key>(keys).first(1), 9);
    expect_content(stream, index, {{keys[0], 9}});
  });
}

/// The first n keys in an index, and what list_keys makes of them.
struct Listed {
  KeyIndex<Cuda> index{{0, kFew}, 7};
  std::vector<std::int64_t> starts{0};  ///< of the keys of each shard
  Buffer<Key, Cuda> device_keys;
  std::vector<Key> keys;
  std::vector<RowId> rows;

  Listed(Stream<Cuda>& stream, std::int64_t n) : device_keys(stream, n) {
    const Call call(stream, 0, static_cast<std::uint64_t>(n));
    insert_keys<Cuda>(stream, {{&index, 0, n, 0}}, call.device_keys.data(), call.shards.data());
    Buffer<RowId, Cuda> device_rows(stream, n);
    list_keys(stream, index, device_keys.data(), device_rows.data());
    keys = to_host(stream, device_keys);
    rows = to_host(stream, device_rows);
    for (std::int64_t shard = 0; shard < kFew; ++shard) {
      starts.push_back(starts.back() + index.size(shard));
    }
  }
};

TEST_F(KeyIndexOfDevice, ListsTheKeysOfEveryShard) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    for (const std::int64_t n : kSizes) {
      const Listed listed(stream, n);
      Rows all;
      for (std::int64_t shard = 0; shard < kFew; ++shard) {
        const auto begin = listed.starts[static_cast<std::size_t>(shard)];
        const auto end = listed.starts[static_cast<std::size_t>(shard) + 1];
        Rows rows;
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          rows[listed.keys[i]] = listed.rows[i];
        }
        EXPECT_EQ(rows, check_shard(stream, listed.index, shard));
        const ShardRows sorted = sorted_rows(listed.index, shard);
        EXPECT_TRUE(std::is_sorted(sorted.keys.begin(), sorted.keys.end()));
        for (std::size_t i = 0; i < sorted.keys.size(); ++i) {
          EXPECT_EQ(rows.at(sorted.keys[i]), sorted.rows[i]);
        }
        all.insert(rows.begin(), rows.end());
      }
      expect_content(stream, listed.index, all);
      EXPECT_EQ(std::ssize(all), n);
    }
  });
}

TEST_F(KeyIndexOfDevice, AllShardsAreReplacedTogether) {
  for_seeds(20, [](int) {
    Stream<Cuda> stream(0);
    for (const std::int64_t n : kSizes) {
      Listed listed(stream, n);
      Rows expected;
      for (std::size_t i = 0; i < listed.keys.size(); ++i) {
        listed.rows[i] += 5;
        expected[listed.keys[i]] = listed.rows[i];
      }
      const Buffer<RowId, Cuda> rows = to_device(stream, listed.rows);
      replace_keys<Cuda>(stream, listed.index, listed.starts, listed.device_keys.data(),
                         rows.data());
      expect_content(stream, listed.index, expected);
      replace_keys<Cuda>(stream, listed.index, std::vector<std::int64_t>(kFew + 1), nullptr,
                         nullptr);
      expect_content(stream, listed.index, {});
    }
  });
}

TEST_F(KeyIndexOfDevice, ReservedRoomIsNotGrownAgain) {
  Stream<Cuda> stream(0);
  KeyIndex<Cuda> index({0, kFew}, 7);
  index.reserve(1000);
  const KeyBucket* buckets = index.segment(3).buckets;
  const Call call(stream, 0, 1000);
  insert_keys<Cuda>(stream, {{&index, 0, 1000, 0}}, call.device_keys.data(), call.shards.data());
  EXPECT_EQ(index.segment(3).buckets, buckets);
  Rows expected;
  for (RowId i = 0; i < 1000; ++i) {
    expected[call.keys[i]] = i;
  }
  expect_content(stream, index, expected);
}

TEST_F(KeyIndexOfDevice, ThreadsFillDifferentShards) {
  for_seeds(20, [](int) {
    KeyIndex<Cuda> index({0, kFew}, 7);
    const auto fill = [&](std::uint32_t first) {
      for (std::uint32_t shard = first; shard < kFew; shard += 2) {
        std::vector<Key> keys;
        for (Key i = 0; i < 40; ++i) {
          keys.push_back(i * kShards + shard);
        }
        index.insert(shard, keys, shard * 40);
      }
    };
    std::thread other(fill, 0u);
    fill(1);
    other.join();
    Rows expected;
    for (std::uint32_t shard = 0; shard < kFew; ++shard) {
      for (RowId i = 0; i < 40; ++i) {
        expected[Key{i} * kShards + shard] = shard * 40 + i;
      }
    }
    Stream<Cuda> stream(0);
    expect_content(stream, index, expected);
  });
}

#ifndef KEYSHARD_REAL_DEVICE

/// What place() must not do: claims a slot by a load and a store, or leaves no mark.
template <bool kByStore, bool kNoMark>
struct PlaceWrongly {
  KeySegment segment;
  KeyIndexRef hasher;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const auto key = static_cast<Key>(i);
    const std::uint64_t hash = hasher.hash(key);
    for (std::uint32_t at = KeyIndexRef::home(hash, segment.num_buckets);;
         at = (at + 1) % segment.num_buckets) {
      KeyBucket& bucket = segment.buckets[at];
      const AtomicWord<std::uint32_t> state(state_of(bucket));
      std::uint32_t now = state.load();
      while ((now & 0xFFFF) < KeyBucket::kSlots) {
        if (kByStore) {
          sim::point();
          state_of(bucket) = now + 1;
        }
        if (kByStore || state.compare_exchange(now, now + 1)) {
          bucket.keys[now & 0xFFFF] = key;
          bucket.rows[now & 0xFFFF] = static_cast<RowId>(i);
          return;
        }
      }
      if (!kNoMark) {
        state.fetch_or(KeyIndexRef::mark(hash) << 16);
      }
    }
  }
};

/// In how many of 20 seeds not all of 32 keys are found that such a functor has placed.
template <bool kByStore, bool kNoMark>
int seeds_that_miss_keys() {
  constexpr std::int64_t kKeys = 32, kBuckets = 8;
  int missed = 0;
  for (int seed = 1; seed <= 20; ++seed) {
    sim::reset_device({.seed = static_cast<std::uint64_t>(seed)});
    Stream<Cuda> stream(0);
    Buffer<KeyBucket, Cuda> buckets(stream, kBuckets);
    zero_bytes(stream, buckets.data(), kBuckets * sizeof(KeyBucket));
    const KeySegment segment{buckets.data(), kBuckets, 0};
    for_each(stream, kKeys, PlaceWrongly<kByStore, kNoMark>{segment, {nullptr, 0, 7}});
    const Buffer<KeySegment, Cuda> segments =
        to_device(stream, std::vector<KeySegment>(kShards, segment));
    std::vector<Key> keys;
    for (Key key = 0; key < kKeys; ++key) {
      keys.push_back(key);
    }
    const Buffer<Key, Cuda> in = to_device(stream, keys);
    Buffer<RowId, Cuda> rows(stream, kKeys);
    for_each_row(stream, kKeys,
                 FindRow<ModuloPartitioner>{{segments.data(), 0, 7}, {}, in.data(), rows.data()});
    const std::vector<RowId> found = to_host(stream, rows);
    missed += std::count(found.begin(), found.end(), kNoRow) > 0 ? 1 : 0;
  }
  return missed;
}

TEST_F(KeyIndexOfDevice, AClaimWithoutExchangeAndAForgottenMarkAreSeen) {
  EXPECT_EQ((seeds_that_miss_keys<false, false>()), 0);
  EXPECT_GE((seeds_that_miss_keys<true, false>()), 5);
  EXPECT_EQ((seeds_that_miss_keys<false, true>()), 20);
  forget_races();
}

#endif

}  // namespace
}  // namespace keyshard
