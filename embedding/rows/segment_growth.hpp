// How many buckets a segment of a key index has: the same on every device.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "embedding/rows/key_index.hpp"

namespace keyshard {

inline constexpr std::uint32_t kLoadNumerator = 4, kLoadDenominator = 5;
inline constexpr std::uint32_t kFirstBuckets = 4;

/// The least buckets for so many keys.
inline std::uint32_t buckets_for(std::uint64_t keys) {
  const std::uint64_t slots = keys * kLoadDenominator / kLoadNumerator + 1;
  return static_cast<std::uint32_t>((slots + KeyBucket::kSlots - 1) / KeyBucket::kSlots);
}

/// Buckets of a segment that has become too small: from 11/8 to 13/8 as many, by shard.
inline std::uint32_t grown_buckets(std::uint32_t buckets, std::int64_t shard) {
  const auto factor = static_cast<std::uint64_t>(11 * 8 + shard % 17);
  return std::max(static_cast<std::uint32_t>(buckets * factor / 64) + 1, kFirstBuckets);
}

/// The buckets of a segment of that shard that is to hold `keys` keys: as many as it has where they
/// are enough.
inline std::uint32_t buckets_with_room(const KeySegment& segment, std::int64_t shard,
                                       std::uint64_t keys) {
  const std::uint64_t slots = std::uint64_t{segment.num_buckets} * KeyBucket::kSlots;
  return keys * kLoadDenominator <= slots * kLoadNumerator
             ? segment.num_buckets
             : std::max(grown_buckets(segment.num_buckets, shard), buckets_for(keys));
}

/// The buckets of a segment of that shard whose keys become `keys` others. Buckets that are there
/// may go on to be used: a table at its limit fills up again.
inline std::uint32_t buckets_of_replaced(const KeySegment& before, std::int64_t shard,
                                         std::uint64_t keys) {
  const std::uint32_t needed = buckets_for(keys);
  return keys == 0 ? 0
                   : std::max(needed, std::min(before.num_buckets, grown_buckets(needed, shard)));
}

/// The buckets of each of `shards` segments over which `keys` keys are spread. Shards fill like a
/// Poisson process: five standard deviations above the mean is room for all of them.
inline std::uint32_t buckets_of_spread(std::int64_t keys, std::int64_t shards) {
  const double mean = static_cast<double>(keys) / static_cast<double>(shards);
  return buckets_for(static_cast<std::uint64_t>(mean + 5.0 * std::sqrt(mean + 1.0)));
}

}  // namespace keyshard
