// What the lanes of a device do to the buckets of a key index. Many keys are placed at once: a lane
// claims a slot by raising the number of used slots of a bucket with one compare-and-exchange, so
// the order of the lanes decides the places of keys in a bucket and nothing else.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "embedding/rows/key_index.hpp"
#include "runtime/atomic_word.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// The number of used slots of a bucket in the low half of a word, its marks in the high half.
KEYSHARD_HD inline std::uint32_t& state_of(KeyBucket& bucket) {
  static_assert(offsetof(KeyBucket, used) % sizeof(std::uint32_t) == 0);
  static_assert(offsetof(KeyBucket, marks) == offsetof(KeyBucket, used) + sizeof(std::uint16_t));
  static_assert(std::endian::native == std::endian::little, "as CUDA devices are");
  auto* first = reinterpret_cast<std::byte*>(&bucket);
  return *reinterpret_cast<std::uint32_t*>(first + offsetof(KeyBucket, used));
}

/// Places an absent key beside other lanes that place other keys. A bucket that is seen to be full
/// stays full in this launch, so a key that goes on leaves its mark in full buckets alone.
KEYSHARD_HD inline void place(const KeySegment& segment, std::uint64_t hash, Key key, RowId row) {
  constexpr std::uint32_t kUsed = 0xFFFF;
  std::uint32_t at = KeyIndexRef::home(hash, segment.num_buckets);
  for (;;) {
    KeyBucket& bucket = segment.buckets[at];
    const AtomicWord<std::uint32_t> state(state_of(bucket));
    std::uint32_t now = state.load();
    while ((now & kUsed) < KeyBucket::kSlots) {
      if (state.compare_exchange(now, now + 1)) {
        bucket.keys[now & kUsed] = key;
        bucket.rows[now & kUsed] = row;
        return;
      }
    }
    state.fetch_or(KeyIndexRef::mark(hash) << 16);
    at = at + 1 == segment.num_buckets ? 0 : at + 1;
  }
}

KEYSHARD_HD inline void place(const KeyIndexRef& index, std::int64_t shard, Key key, RowId row) {
  place(index.segments[shard - index.first_shard], index.hash(key), key, row);
}

/// A segment of an index gets other buckets.
struct SegmentChange {
  KeySegment* segment;  ///< that functors see
  KeySegment before;
  KeySegment after;
  std::uint64_t seed;
};

/// The buckets of several changes, one change after another.
struct ChangeRef {
  const SegmentChange* changes;
  const std::int64_t* starts;  ///< [count + 1]
  std::int64_t count;

  KEYSHARD_HD const SegmentChange& of(std::int64_t i) const {
    return changes[run_at(starts, count, i)];
  }

  /// The place of bucket i in its segment.
  KEYSHARD_HD std::int64_t place_of(std::int64_t i) const {
    return i - starts[run_at(starts, count, i)];
  }
};

/// Empties new bucket i.
struct EmptyBucket {
  ChangeRef changes;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    KeyBucket& bucket = changes.of(i).after.buckets[changes.place_of(i)];
    bucket.used = 0;
    bucket.marks = 0;
  }
};

/// Moves the keys of old bucket i to the new buckets.
struct MoveKeys {
  ChangeRef changes;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const SegmentChange& change = changes.of(i);
    const KeyIndexRef hasher{nullptr, 0, change.seed};
    const KeyBucket& bucket = change.before.buckets[changes.place_of(i)];
    for (int slot = 0; slot < bucket.used; ++slot) {
      place(change.after, hasher.hash(bucket.keys[slot]), bucket.keys[slot], bucket.rows[slot]);
    }
  }
};

/// Shows segment i to functors as it is now.
struct ShowSegment {
  const SegmentChange* changes;

  KEYSHARD_HD void operator()(std::int64_t i) const { *changes[i].segment = changes[i].after; }
};

/// The buckets of an index, shard after shard.
struct AllBuckets {
  const KeySegment* segments;
  const std::int64_t* starts;  ///< [shards + 1]
  std::int64_t shards;

  KEYSHARD_HD const KeyBucket& bucket(std::int64_t i) const {
    const std::int64_t shard = run_at(starts, shards, i);
    return segments[shard].buckets[i - starts[shard]];
  }

  /// The keys in bucket i.
  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const { return bucket(i).used; }
};

/// Lists the keys of bucket i.
struct ListBucket {
  AllBuckets all;
  const std::int64_t* places;  ///< keys in the buckets before
  Key* keys;
  RowId* rows;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const KeyBucket& bucket = all.bucket(i);
    for (int slot = 0; slot < bucket.used; ++slot) {
      keys[places[i] + slot] = bucket.keys[slot];
      rows[places[i] + slot] = bucket.rows[slot];
    }
  }
};

/// Places listed key i with its row.
struct PlaceListed {
  KeyIndexRef index;
  const std::int64_t* starts;  ///< of the keys of each shard
  std::int64_t shards;
  const Key* keys;
  const RowId* rows;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    place(index, index.first_shard + run_at(starts, shards, i), keys[i], rows[i]);
  }
};

/// The keys of one table among those of a call.
struct NewKeysRef {
  KeyIndexRef index;
  std::int64_t begin;
  RowId first;
  std::int64_t counters;  ///< of the first shard
};

/// The keys of several tables.
struct AllNewKeys {
  const NewKeysRef* tables;
  const std::int64_t* starts;  ///< [count + 1]
  std::int64_t count;
  const Key* keys;
  const std::uint16_t* shards;

  KEYSHARD_HD const NewKeysRef& table_of(std::int64_t i) const {
    return tables[run_at(starts, count, i)];
  }
};

/// Counts key i in its table and shard.
struct CountNewKey {
  AllNewKeys all;
  std::uint32_t* counts;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const NewKeysRef& table = all.table_of(i);
    AtomicWord(counts[table.counters + all.shards[i] - table.index.first_shard]).fetch_add(1);
  }
};

/// Places key i.
struct PlaceNewKey {
  AllNewKeys all;

  KEYSHARD_HD void operator()(std::int64_t i) const {
    const NewKeysRef& table = all.table_of(i);
    place(table.index, all.shards[i], all.keys[i],
          table.first + static_cast<RowId>(i - table.begin));
  }
};

}  // namespace keyshard
