// Sorts entries by an unsigned key of 64 bits, byte by byte from the lowest: as fast as the memory
// that a small array needs, whatever the keys are. Bytes that all keys share cost nothing. Stable.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace keyshard {

/// Sorts `entries` by their member `key`, which is of an unsigned type of 64 bits. At most 2^32 - 1
/// entries.
template <class Entry>
void radix_sort(std::vector<Entry>& entries) {
  constexpr std::size_t kFew = 64;  // a sort by comparison is faster below
  if (entries.size() < kFew) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.key < b.key; });
    return;
  }
  constexpr int kBytes = 8;
  const auto byte_of = [](const Entry& entry, int byte) { return entry.key >> (8 * byte) & 255; };
  std::array<std::array<std::uint32_t, 256>, kBytes> counts{};
  for (const Entry& entry : entries) {
    for (int byte = 0; byte < kBytes; ++byte) {
      ++counts[static_cast<std::size_t>(byte)][byte_of(entry, byte)];
    }
  }
  std::vector<Entry> sorted(entries.size());
  for (int byte = 0; byte < kBytes; ++byte) {
    std::array<std::uint32_t, 256>& places = counts[static_cast<std::size_t>(byte)];
    if (places[byte_of(entries.front(), byte)] == entries.size()) {
      continue;
    }
    std::uint32_t begin = 0;
    for (std::uint32_t& place : places) {
      begin += std::exchange(place, begin);
    }
    for (const Entry& entry : entries) {
      sorted[places[byte_of(entry, byte)]++] = entry;
    }
    entries.swap(sorted);
  }
}

}  // namespace keyshard
