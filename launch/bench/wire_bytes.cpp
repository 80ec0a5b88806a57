#include "launch/bench/wire_bytes.hpp"

#include <cmath>

namespace keyshard {
namespace {

constexpr std::int64_t kCounts = 3;  // of a table: keys, parts of bags, their items

}  // namespace

WireBytes wire_bytes(const std::vector<std::vector<std::int64_t>>& asked, std::size_t rank,
                     std::int64_t dim) {
  const std::int64_t row_bytes = dim * static_cast<std::int64_t>(sizeof(float));
  WireBytes bytes;
  for (std::size_t other = 0; other < asked.size(); ++other) {
    if (other != rank) {
      bytes.counts += kCounts * static_cast<std::int64_t>(sizeof(std::int64_t));
      bytes.keys += asked[rank][other] * static_cast<std::int64_t>(sizeof(Key));
      bytes.rows += asked[other][rank] * row_bytes;
      bytes.gradients += asked[rank][other] * row_bytes;
    }
  }
  return bytes;
}

WireBytes even_wire_bytes(std::int64_t ranks, double distinct, std::int64_t dim) {
  const double others = distinct * static_cast<double>(ranks - 1) / static_cast<double>(ranks);
  const auto row_bytes = static_cast<double>(dim) * sizeof(float);
  return {kCounts * static_cast<std::int64_t>(sizeof(std::int64_t)) * (ranks - 1),
          std::llround(sizeof(Key) * others), std::llround(row_bytes * others),
          std::llround(row_bytes * others)};
}

}  // namespace keyshard
