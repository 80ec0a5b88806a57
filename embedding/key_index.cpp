#include "embedding/key_index.hpp"

#include <algorithm>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::uint32_t kLoadNumerator = 4, kLoadDenominator = 5;

std::uint32_t buckets_for(std::uint64_t keys) {
  const std::uint64_t slots = keys * kLoadDenominator / kLoadNumerator + 1;
  return static_cast<std::uint32_t>((slots + KeyBucket::kSlots - 1) / KeyBucket::kSlots);
}

}  // namespace

KeyIndex::KeyIndex(Range shards, std::uint64_t seed)
    : shards_(shards), seed_(seed), segments_(static_cast<std::size_t>(shards.size())) {}

void KeyIndex::place(KeySegment& segment, std::uint64_t hash, Key key, RowId row) {
  std::uint32_t at = KeyIndexRef::home(hash, segment.num_buckets);
  for (;;) {
    KeyBucket& bucket = segment.buckets[at];
    for (int slot = 0; slot < KeyBucket::kSlots; ++slot) {
      if (bucket.rows[slot] == kNoRow) {
        bucket.keys[slot] = key;
        bucket.rows[slot] = row;
        return;
      }
    }
    at = at + 1 == segment.num_buckets ? 0 : at + 1;
  }
}

void KeyIndex::grow(KeySegment& segment, std::uint32_t num_buckets) {
  KeySegment grown;
  grown.num_buckets = num_buckets;
  grown.size = segment.size;
  grown.buckets =
      static_cast<KeyBucket*>(arena_.allocate(std::size_t{num_buckets} * sizeof(KeyBucket)));
  for (std::uint32_t b = 0; b < num_buckets; ++b) {
    std::fill_n(grown.buckets[b].rows, KeyBucket::kSlots, kNoRow);
  }
  const KeyIndexRef hasher = ref();
  for (std::uint32_t b = 0; b < segment.num_buckets; ++b) {
    const KeyBucket& bucket = segment.buckets[b];
    for (int slot = 0; slot < KeyBucket::kSlots && bucket.rows[slot] != kNoRow; ++slot) {
      place(grown, hasher.hash(bucket.keys[slot]), bucket.keys[slot], bucket.rows[slot]);
    }
  }
  if (segment.buckets != nullptr) {
    arena_.release(segment.buckets, std::size_t{segment.num_buckets} * sizeof(KeyBucket));
  }
  segment = grown;
}

void KeyIndex::insert(Key key, std::uint32_t shard, RowId row) {
  KeySegment& segment =
      segments_[static_cast<std::size_t>(static_cast<std::int64_t>(shard) - shards_.begin)];
  const std::uint64_t slots = std::uint64_t{segment.num_buckets} * KeyBucket::kSlots;
  if ((segment.size + std::uint64_t{1}) * kLoadDenominator > slots * kLoadNumerator) {
    const std::uint32_t half_more = segment.num_buckets + segment.num_buckets / 2 + 1;
    grow(segment, std::max(half_more, buckets_for(segment.size + std::uint64_t{1})));
  }
  place(segment, ref().hash(key), key, row);
  ++segment.size;
  ++size_;
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
