// What ranks send each other in tests of exchanges: random counts, and items that tell where they
// come from.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace keyshard::testing {

/// counts[r][p]: items that rank r sends to rank p. About a third of the counts are 0.
using Counts = std::vector<std::vector<std::int64_t>>;

inline Counts random_counts(std::size_t ranks, unsigned seed) {
  std::mt19937 random(seed);
  Counts counts(ranks, std::vector<std::int64_t>(ranks));
  for (std::vector<std::int64_t>& row : counts) {
    for (std::int64_t& count : row) {
      count = random() % 3 == 0 ? 0 : random() % 40;
    }
  }
  return counts;
}

/// A number of its own for element d of the i-th item from rank `from` to rank `to`.
inline std::int64_t item(std::size_t from, std::size_t to, std::int64_t i, std::int64_t d) {
  return static_cast<std::int64_t>(from * 10 + to) * 100'000 + i * 100 + d;
}

/// What rank `from` sends, in the order of ranks.
inline std::vector<std::int64_t> sent_by(const Counts& counts, std::size_t from,
                                         std::int64_t width) {
  std::vector<std::int64_t> items;
  for (std::size_t to = 0; to < counts.size(); ++to) {
    for (std::int64_t i = 0; i < counts[from][to]; ++i) {
      for (std::int64_t d = 0; d < width; ++d) {
        items.push_back(item(from, to, i, d));
      }
    }
  }
  return items;
}

/// What rank `to` receives, by the definition: items by sending rank, in the sender's order.
inline std::vector<std::int64_t> received_by(const Counts& counts, std::size_t to,
                                             std::int64_t width) {
  std::vector<std::int64_t> items;
  for (std::size_t from = 0; from < counts.size(); ++from) {
    for (std::int64_t i = 0; i < counts[from][to]; ++i) {
      for (std::int64_t d = 0; d < width; ++d) {
        items.push_back(item(from, to, i, d));
      }
    }
  }
  return items;
}

}  // namespace keyshard::testing
