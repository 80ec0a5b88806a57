#include "runtime/sort_pairs.hpp"

#include <algorithm>
#include <limits>

#include <gtest/gtest.h>

#include "runtime/hash.hpp"
#include "tests/support/counts.hpp"

namespace keyshard {
namespace {

struct Entry {
  std::uint64_t key;
  std::uint32_t number;

  bool operator==(const Entry&) const = default;
};

/// Sorts entries with these keys, numbered in order, and expects the result of a stable sort by
/// comparison.
void expect_sorted(const std::vector<std::uint64_t>& keys) {
  std::vector<Entry> entries;
  for (const std::uint64_t key : keys) {
    entries.push_back({key, static_cast<std::uint32_t>(entries.size())});
  }
  std::vector<Entry> expected = entries;
  std::stable_sort(expected.begin(), expected.end(),
                   [](const Entry& a, const Entry& b) { return a.key < b.key; });
  for (const int threads : testing::thread_counts({1, 2, 3})) {
    Stream<Cpu> stream(threads, 0);
    std::vector<Entry> sorted = entries;
    sort_pairs(stream, Span<Entry>(sorted));
    EXPECT_EQ(sorted, expected) << keys.size() << " keys, " << threads << " threads";
  }
  sort_pairs(Span<Entry>(entries));
  EXPECT_EQ(entries, expected) << keys.size() << " keys";
}

TEST(SortPairs, OrdersKeysOfAll64Bits) {
  for (const std::size_t n : {0u, 1u, 2u, 63u, 64u, 65u, 1000u, 5000u}) {
    std::vector<std::uint64_t> keys(n);
    for (std::size_t i = 0; i < n; ++i) {
      keys[i] = mix64(i);
    }
    expect_sorted(keys);
  }
}

TEST(SortPairs, KeepsTheOrderOfEqualKeys) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    keys.push_back(mix64(i) % 17 << 40);
  }
  expect_sorted(keys);
  expect_sorted(std::vector<std::uint64_t>(100, 7));
}

TEST(SortPairs, OrdersKeysThatShareBytes) {
  std::vector<std::uint64_t> low, high, ends;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    low.push_back(999 - i);
    high.push_back((i * 37 % 256) << 56 | 5);
    ends.push_back(i % 2 == 0 ? std::numeric_limits<std::uint64_t>::max() - i : i);
  }
  expect_sorted(low);
  expect_sorted(high);
  expect_sorted(ends);
}

struct Small {
  std::uint16_t key;
  char name;

  bool operator==(const Small&) const = default;
};

TEST(SortPairs, TakesKeysOfOtherWidths) {
  std::vector<Small> entries;
  for (int i = 0; i < 200; ++i) {
    entries.push_back({static_cast<std::uint16_t>((200 - i) / 2 * 300), i % 2 == 0 ? 'a' : 'b'});
  }
  std::vector<Small> expected = entries;
  std::stable_sort(expected.begin(), expected.end(),
                   [](const Small& a, const Small& b) { return a.key < b.key; });
  sort_pairs(Span<Small>(entries));
  EXPECT_EQ(entries, expected);
}

}  // namespace
}  // namespace keyshard
