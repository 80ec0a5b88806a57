#include "runtime/radix_sort.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "runtime/hash.hpp"

namespace keyshard {
namespace {

struct Entry {
  std::uint64_t key;
  std::uint32_t number;

  bool operator==(const Entry&) const = default;
};

/// Sorts entries with these keys, numbered in order, and expects what a stable sort by comparison
/// makes of them.
void expect_sorted(const std::vector<std::uint64_t>& keys) {
  std::vector<Entry> entries;
  for (const std::uint64_t key : keys) {
    entries.push_back({key, static_cast<std::uint32_t>(entries.size())});
  }
  std::vector<Entry> expected = entries;
  std::stable_sort(expected.begin(), expected.end(),
                   [](const Entry& a, const Entry& b) { return a.key < b.key; });
  radix_sort(entries);
  EXPECT_EQ(entries, expected) << keys.size() << " keys";
}

TEST(RadixSort, OrdersKeysOfAll64Bits) {
  for (const std::size_t n : {0u, 1u, 2u, 63u, 64u, 65u, 1000u, 5000u}) {
    std::vector<std::uint64_t> keys(n);
    for (std::size_t i = 0; i < n; ++i) {
      keys[i] = mix64(i);
    }
    expect_sorted(keys);
  }
}

TEST(RadixSort, KeepsTheOrderOfEqualKeys) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    keys.push_back(mix64(i) % 17 << 40);
  }
  expect_sorted(keys);
  expect_sorted(std::vector<std::uint64_t>(100, 7));
}

TEST(RadixSort, OrdersKeysThatShareBytes) {
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

}  // namespace
}  // namespace keyshard
