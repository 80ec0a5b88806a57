// Sorts pairs stably by an unsigned key, byte by byte from the lowest. Each byte costs a pass that
// counts and, unless all keys have the same byte there, a pass that moves the pairs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// Plans a stable counting sort whose input is cut into shares. Turns counts[share][bucket] into
/// the place of the first element that the share puts into the bucket: buckets follow each other,
/// and inside a bucket the shares follow each other. Returns where buckets start [buckets + 1].
template <class Counts>
std::vector<std::int64_t> place_counts(std::vector<Counts>& counts) {
  std::vector<std::int64_t> starts;
  starts.reserve(counts.front().size() + 1);
  std::int64_t place = 0;
  for (std::size_t bucket = 0; bucket < counts.front().size(); ++bucket) {
    starts.push_back(place);
    for (Counts& count : counts) {
      place += std::exchange(count[bucket], place);
    }
  }
  starts.push_back(place);
  return starts;
}

inline constexpr std::int64_t kFewPairs = 64;  // so many are sorted by insertion

/// Sorts a few pairs stably by their member `key`, without memory or counts.
template <class Pair>
KEYSHARD_HD void insertion_sort(Pair* pairs, std::int64_t n) {
  for (std::int64_t i = 1; i < n; ++i) {
    const Pair pair = pairs[i];
    std::int64_t at = i;
    for (; at > 0 && pair.key < pairs[at - 1].key; --at) {
      pairs[at] = pairs[at - 1];
    }
    pairs[at] = pair;
  }
}

/// Sorts pairs [n] stably by their member `key`, of an unsigned type, on the calling thread: for
/// one lane of a functor, or inside a parallel region. scratch [n] may be null where n is at most
/// kFewPairs.
template <class Pair>
KEYSHARD_HD void sort_pairs(Pair* pairs, std::int64_t n, Pair* scratch) {
  if (n <= kFewPairs) {
    insertion_sort(pairs, n);
    return;
  }
  Pair* from = pairs;
  Pair* to = scratch;
  for (unsigned shift = 0; shift < 8 * sizeof(from->key); shift += 8) {
    std::int64_t places[256] = {};
    for (std::int64_t i = 0; i < n; ++i) {
      ++places[from[i].key >> shift & 255];
    }
    if (places[from->key >> shift & 255] == n) {
      continue;  // a byte that all keys share
    }
    std::int64_t place = 0;
    for (std::int64_t& bucket : places) {
      const std::int64_t size = bucket;
      bucket = place;
      place += size;
    }
    for (std::int64_t i = 0; i < n; ++i) {
      to[places[from[i].key >> shift & 255]++] = from[i];
    }
    Pair* sorted = to;
    to = from;
    from = sorted;
  }
  for (std::int64_t i = 0; i < n && from != pairs; ++i) {
    pairs[i] = from[i];
  }
}

/// Sorts `pairs` stably by their member `key`, of an unsigned type. for_shares(n, body) cuts [0, n)
/// into at most `shares` parts, always the same ones, and calls body(begin, end, share) for each.
template <class Pair, class ForShares>
void sort_pairs(Span<Pair> pairs, int shares, const ForShares& for_shares) {
  if (pairs.size() <= kFewPairs) {
    insertion_sort(pairs.data(), pairs.size());
    return;
  }
  const auto n = static_cast<std::int64_t>(pairs.size());
  std::vector<Pair> scratch(static_cast<std::size_t>(pairs.size()));
  Pair* from = pairs.data();
  Pair* to = scratch.data();
  for (std::size_t shift = 0; shift < 8 * sizeof(from->key); shift += 8) {
    std::vector<std::array<std::int64_t, 256>> places(static_cast<std::size_t>(shares));
    for_shares(n, [&](std::int64_t begin, std::int64_t end, int share) {
      std::array<std::int64_t, 256>& count = places[static_cast<std::size_t>(share)];
      for (std::int64_t i = begin; i < end; ++i) {
        ++count[from[i].key >> shift & 255];
      }
    });
    const std::vector<std::int64_t> starts = place_counts(places);
    const auto first = static_cast<std::size_t>(from->key >> shift & 255);
    if (starts[first + 1] - starts[first] == n) {
      continue;
    }
    for_shares(n, [&](std::int64_t begin, std::int64_t end, int share) {
      std::array<std::int64_t, 256>& place = places[static_cast<std::size_t>(share)];
      for (std::int64_t i = begin; i < end; ++i) {
        to[place[from[i].key >> shift & 255]++] = from[i];
      }
    });
    std::swap(from, to);
  }
  if (from != pairs.data()) {
    std::copy_n(from, n, to);
  }
}

/// The same on the calling thread alone.
template <class Pair>
void sort_pairs(Span<Pair> pairs) {
  std::vector<Pair> scratch(static_cast<std::size_t>(pairs.size() > kFewPairs ? pairs.size() : 0));
  sort_pairs(pairs.data(), pairs.size(), scratch.data());
}

/// The same on all threads of a stream.
template <class Pair>
void sort_pairs(Stream<Cpu>& stream, Span<Pair> pairs) {
  sort_pairs(pairs, stream.threads().size(),
             [&](std::int64_t n, const auto& body) { stream.threads().for_shares(n, body); });
}

template <class Pair>
void sort_pairs(Stream<Cuda>& stream, Span<Pair> pairs);

}  // namespace keyshard
