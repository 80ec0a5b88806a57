#include "embedding/rows/key_index.hpp"

#include <algorithm>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::uint32_t kLoadNumerator = 4, kLoadDenominator = 5;
constexpr std::uint32_t kFirstBuckets = 4;

std::uint32_t buckets_for(std::uint64_t keys) {
  const std::uint64_t slots = keys * kLoadDenominator / kLoadNumerator + 1;
  return static_cast<std::uint32_t>((slots + KeyBucket::kSlots - 1) / KeyBucket::kSlots);
}

/// Buckets of a segment that has become too small: from 11/8 to 13/8 as many, by shard.
std::uint32_t grown_buckets(std::uint32_t buckets, std::uint32_t shard) {
  const std::uint64_t factor = 11 * 8 + shard % 17;
  return std::max(static_cast<std::uint32_t>(buckets * factor / 64) + 1, kFirstBuckets);
}

}  // namespace

KeyIndex::KeyIndex(Range shards, std::uint64_t seed)
    : shards_(shards), seed_(seed), segments_(static_cast<std::size_t>(shards.size())) {}

void KeyIndex::place(KeySegment& segment, std::uint64_t hash, Key key, RowId row) {
  std::uint32_t at = KeyIndexRef::home(hash, segment.num_buckets);
  while (segment.buckets[at].used == KeyBucket::kSlots) {
    segment.buckets[at].marks |= static_cast<std::uint16_t>(KeyIndexRef::mark(hash));
    at = at + 1 == segment.num_buckets ? 0 : at + 1;
  }
  KeyBucket& bucket = segment.buckets[at];
  bucket.keys[bucket.used] = key;
  bucket.rows[bucket.used] = row;
  ++bucket.used;
}

void KeyIndex::grow(KeySegment& segment, std::uint32_t num_buckets) {
  KeySegment grown;
  grown.num_buckets = num_buckets;
  grown.size = segment.size;
  grown.buckets =
      static_cast<KeyBucket*>(arena_.allocate(std::size_t{num_buckets} * sizeof(KeyBucket)));
  for (std::uint32_t b = 0; b < num_buckets; ++b) {
    grown.buckets[b].used = 0;
    grown.buckets[b].marks = 0;
  }
  const KeyIndexRef hasher = ref();
  for (std::uint32_t b = 0; b < segment.num_buckets; ++b) {
    const KeyBucket& bucket = segment.buckets[b];
    for (int slot = 0; slot < bucket.used; ++slot) {
      place(grown, hasher.hash(bucket.keys[slot]), bucket.keys[slot], bucket.rows[slot]);
    }
  }
  if (segment.buckets != nullptr) {
    arena_.release(segment.buckets, std::size_t{segment.num_buckets} * sizeof(KeyBucket));
  }
  segment = grown;
}

void KeyIndex::reserve(std::uint32_t shard, std::int64_t more) {
  KeySegment& segment = segment_of(shard);
  const std::uint64_t keys = segment.size + static_cast<std::uint64_t>(more);
  const std::uint64_t slots = std::uint64_t{segment.num_buckets} * KeyBucket::kSlots;
  if (keys * kLoadDenominator > slots * kLoadNumerator) {
    grow(segment, std::max(grown_buckets(segment.num_buckets, shard), buckets_for(keys)));
  }
}

void KeyIndex::insert(Key key, std::uint32_t shard, RowId row) {
  reserve(shard, 1);
  KeySegment& segment = segment_of(shard);
  place(segment, ref().hash(key), key, row);
  ++segment.size;
}

std::int64_t KeyIndex::size() const noexcept {
  std::int64_t keys = 0;
  for (const KeySegment& segment : segments_) {
    keys += segment.size;
  }
  return keys;
}

void KeyIndex::reserve(std::int64_t keys) {
  if (shards_.size() == 0) {
    return;
  }
  // Shards fill like a Poisson process: five standard deviations above the mean is room for all of
  // them.
  const double mean = static_cast<double>(keys) / static_cast<double>(shards_.size());
  const auto most = static_cast<std::uint64_t>(mean + 5.0 * __builtin_sqrt(mean + 1.0));
  for (KeySegment& segment : segments_) {
    if (buckets_for(most) > segment.num_buckets && keys > 0) {
      grow(segment, buckets_for(most));
    }
  }
}

}  // namespace keyshard
