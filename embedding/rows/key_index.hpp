// Key -> row id, for the shards that one rank owns: one small open-addressing segment per shard. A
// slot lies in a bucket of one cache line that holds 5 keys and their rows, so a hit and a miss
// cost about one line each: a full bucket keeps marks of the keys that have passed it, one bit
// each, chosen by 4 bits of the hash. Every 64-bit key is legal. Each segment grows alone, by its
// own factor: shards fill evenly, so with one factor all segments would grow in the same step.
//
// Invariants
// (1) The used slots of a bucket are its first ones.
// (2) A key lies in its home bucket or in one after it (cyclically); all buckets before are full
// and have its mark. (3) A segment is never more than 4/5 full, so a probe ends.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "runtime/arena.hpp"
#include "runtime/hash.hpp"
#include "runtime/portable.hpp"
#include "runtime/runs.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// One cache line of the index.
struct alignas(64) KeyBucket {
  static constexpr int kSlots = 5;
  Key keys[kSlots];
  RowId rows[kSlots];
  std::uint16_t used;   ///< slots, the first ones
  std::uint16_t marks;  ///< of the keys that found the bucket full and went on
};

static_assert(sizeof(KeyBucket) == 64);

/// The buckets of one shard.
struct KeySegment {
  KeyBucket* buckets = nullptr;
  std::uint32_t num_buckets = 0;
  std::uint32_t size = 0;  ///< keys, for the host alone
};

/// Borrowed access for functors.
struct KeyIndexRef {
  const KeySegment* segments;  ///< of shards [first_shard, ...)
  std::int64_t first_shard;
  std::uint64_t seed;

  KEYSHARD_HD static std::uint32_t home(std::uint64_t hash, std::uint32_t num_buckets) {
    return static_cast<std::uint32_t>((hash >> 32) * num_buckets >> 32);
  }

  KEYSHARD_HD static std::uint32_t mark(std::uint64_t hash) { return 1u << (hash & 15); }

  KEYSHARD_HD std::uint64_t hash(Key key) const { return mix64(key + seed); }

  /// Where the search for a key starts.
  struct Home {
    const KeySegment* segment;
    const KeyBucket* bucket;  ///< to be prefetched; not to be read where the segment has none
    std::uint32_t mark;       ///< of the key, in the buckets that it has passed
  };

  KEYSHARD_HD Home home_of(Key key, std::uint32_t shard) const {
    const KeySegment& segment = segments[shard - first_shard];
    const std::uint64_t hashed = hash(key);
    return {&segment, segment.buckets + home(hashed, segment.num_buckets), mark(hashed)};
  }

  /// The row of a key, or kNoRow, in every lane. The lanes of a team share the slots of a bucket.
  template <class Team>
  KEYSHARD_HD static RowId find(const Team& team, Key key, Home home) {
    if (home.segment->num_buckets == 0) {
      return kNoRow;
    }
    const KeyBucket* end = home.segment->buckets + home.segment->num_buckets;
    for (const KeyBucket* at = home.bucket;; at = at + 1 == end ? home.segment->buckets : at + 1) {
      unsigned same = 0;  // no branch per slot: a processor could not predict it
      for (int slot = static_cast<int>(team.thread_rank()); slot < KeyBucket::kSlots;
           slot += static_cast<int>(team.num_threads())) {
        same |= static_cast<unsigned>(at->keys[slot] == key) << slot;
      }
      same &= (1u << at->used) - 1;
      const RowId row = same == 0 ? kNoRow : at->rows[std::countr_zero(same)];
      const unsigned hit = team.ballot(same != 0);
      if (hit != 0) {
        return team.shfl(row, lowest_lane(hit));
      }
      if ((at->marks & home.mark) == 0) {
        return kNoRow;
      }
    }
  }

 private:
  KEYSHARD_HD static int lowest_lane(unsigned mask) {
    int lane = 0;
    while ((mask & 1u) == 0) {
      mask >>= 1;
      ++lane;
    }
    return lane;
  }
};

template <Backend B>
class KeyIndex;

/// Keys [begin, end) of a call, absent from one table and distinct: key i gets the row first + i -
/// begin. Those of several tables follow one another, from 0 on.
template <Backend B>
struct NewKeys {
  KeyIndex<B>* index;
  std::int64_t begin;
  std::int64_t end;
  RowId first;
};

template <Backend B>
class KeyIndex {
 public:
  /// Empty segments for `shards`, hashed with `seed`.
  KeyIndex(Range shards, std::uint64_t seed);
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  KeyIndexRef ref() const { return {segments_, shards_.begin, seed_}; }

  /// Makes `row` the row of a key that is absent; `shard` is the shard of the key. Grows the
  /// segment where needed. Threads may insert keys of different shards at once.
  void insert(Key key, std::uint32_t shard, RowId row);

  /// Makes first + i the row of keys[i]: keys of one shard, distinct and absent, on the host. Grows
  /// the segment once where needed. Threads may insert keys of different shards at once.
  void insert(std::uint32_t shard, Span<const Key> keys, RowId first);

  /// Replaces the content of a shard by keys [0, n) and their rows. Gives back room that `n` keys
  /// do not need. Threads may replace different shards at once.
  void replace(std::uint32_t shard, const Key* keys, const RowId* rows, std::int64_t n);

  /// Makes room for `keys` in all, spread evenly over the shards.
  void reserve(std::int64_t keys);

  /// Makes room for `more` further keys of a shard, so that they cost one growth at most. Threads
  /// may reserve for different shards at once.
  void reserve(std::uint32_t shard, std::int64_t more);

  /// Keys of a shard.
  std::int64_t size(std::int64_t shard) const;

  /// The keys of a shard and their rows, unordered, on the host: [size(shard)] each.
  void entries(std::int64_t shard, Key* keys, RowId* rows) const;

  Range shards() const noexcept { return shards_; }

  std::int64_t size() const noexcept;

  std::size_t bytes() const noexcept { return arena_.bytes(); }

 private:
  KeySegment& segment_of(std::int64_t shard) const { return segments_[shard - shards_.begin]; }

  void grow(KeySegment& segment, std::uint32_t num_buckets);
  static void place(KeySegment& segment, std::uint64_t hash, Key key, RowId row);

  Range shards_;
  std::uint64_t seed_;
  Arena arena_{map_memory<B>, unmap_memory<B>};
  KeySegment* segments_;  // [shards], in the arena
};

/// The index of a CUDA device, with the members that a device needs, which are those of a CPU. The
/// buckets and the segments that functors see lie on the device; the host plans with segments of
/// its own. A call without a stream uses the device of the calling thread, and waits: first for all
/// work that the device has been given, at the end for its own.
template <>
class KeyIndex<Cuda> {
 public:
  KeyIndex(Range shards, std::uint64_t seed);
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  KeyIndexRef ref() const { return {segments_, shards_.begin, seed_}; }

  void insert(std::uint32_t shard, Span<const Key> keys, RowId first);
  void replace(std::uint32_t shard, const Key* keys, const RowId* rows, std::int64_t n);
  void reserve(std::int64_t keys);

  std::int64_t size(std::int64_t shard) const { return segment(shard).size; }

  void entries(std::int64_t shard, Key* keys, RowId* rows) const;

  Range shards() const noexcept { return shards_; }

  std::int64_t size() const noexcept;

  std::size_t bytes() const noexcept { return arena_.bytes(); }

  // What launches over the buckets are made of (key_index_cuda.cpp).

  /// A segment as the host knows it. Its buckets lie on the device.
  const KeySegment& segment(std::int64_t shard) const {
    return plan_[static_cast<std::size_t>(shard - shards_.begin)];
  }

  /// Sets what the host knows of a segment.
  void set_segment(std::int64_t shard, const KeySegment& segment) {
    plan_[static_cast<std::size_t>(shard - shards_.begin)] = segment;
  }

  /// The segment that functors see.
  KeySegment* device_segment(std::int64_t shard) const {
    return segments_ + (shard - shards_.begin);
  }

  Arena& arena() noexcept { return arena_; }

 private:
  Range shards_;
  std::uint64_t seed_;
  Arena arena_{map_memory<Cuda>, unmap_memory<Cuda>};
  KeySegment* segments_;          // [shards], in the arena
  std::vector<KeySegment> plan_;  // [shards]
};

/// The keys of all shards of an index and their rows, shard after shard: [index.size()] each, on
/// the device. One launch.
template <Backend B>
void list_keys(Stream<B>& stream, const KeyIndex<B>& index, Key* keys, RowId* rows);

/// Replaces the content of all shards: shard first + s gets the keys starts[s] .. starts[s + 1] and
/// their rows, which lie on the device. One launch.
template <Backend B>
void replace_keys(Stream<B>& stream, KeyIndex<B>& index, Span<const std::int64_t> starts,
                  const Key* keys, const RowId* rows);

/// Inserts the keys of several tables: keys [n] and their shards [n]; each of `tables` says which
/// of the keys are its own. One launch.
template <Backend B>
void insert_keys(Stream<B>& stream, const std::vector<NewKeys<B>>& tables, const Key* keys,
                 const std::uint16_t* shards);

// The primitives of a CPU (key_index_cpu.cpp).
template <>
KeyIndex<Cpu>::KeyIndex(Range shards, std::uint64_t seed);
template <>
void KeyIndex<Cpu>::insert(Key key, std::uint32_t shard, RowId row);
template <>
void KeyIndex<Cpu>::insert(std::uint32_t shard, Span<const Key> keys, RowId first);
template <>
void KeyIndex<Cpu>::reserve(std::int64_t keys);
template <>
void KeyIndex<Cpu>::reserve(std::uint32_t shard, std::int64_t more);
template <>
std::int64_t KeyIndex<Cpu>::size(std::int64_t shard) const;
template <>
void KeyIndex<Cpu>::entries(std::int64_t shard, Key* keys, RowId* rows) const;
template <>
std::int64_t KeyIndex<Cpu>::size() const noexcept;
template <>
void KeyIndex<Cpu>::grow(KeySegment& segment, std::uint32_t num_buckets);
template <>
void KeyIndex<Cpu>::place(KeySegment& segment, std::uint64_t hash, Key key, RowId row);
template <>
void KeyIndex<Cpu>::replace(std::uint32_t shard, const Key* keys, const RowId* rows,
                            std::int64_t n);
template <>
void list_keys(Stream<Cpu>& stream, const KeyIndex<Cpu>& index, Key* keys, RowId* rows);
template <>
void replace_keys(Stream<Cpu>& stream, KeyIndex<Cpu>& index, Span<const std::int64_t> starts,
                  const Key* keys, const RowId* rows);
template <>
void insert_keys(Stream<Cpu>& stream, const std::vector<NewKeys<Cpu>>& tables, const Key* keys,
                 const std::uint16_t* shards);

// Those of a CUDA device (key_index_cuda.cpp).
template <>
void list_keys(Stream<Cuda>& stream, const KeyIndex<Cuda>& index, Key* keys, RowId* rows);
template <>
void replace_keys(Stream<Cuda>& stream, KeyIndex<Cuda>& index, Span<const std::int64_t> starts,
                  const Key* keys, const RowId* rows);
template <>
void insert_keys(Stream<Cuda>& stream, const std::vector<NewKeys<Cuda>>& tables, const Key* keys,
                 const std::uint16_t* shards);

}  // namespace keyshard
