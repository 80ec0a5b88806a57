// What a rank sends to others in a sparse step, by the formula of docs/scale.md.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

/// Bytes of one step, to other ranks.
struct WireBytes {
  std::int64_t counts = 0;     ///< 24 (P - 1)
  std::int64_t keys = 0;       ///< 8 for each distinct key of another rank
  std::int64_t rows = 0;       ///< 4 D for each key that another rank asks for
  std::int64_t gradients = 0;  ///< 4 D for each distinct key of another rank

  std::int64_t total() const { return counts + keys + rows + gradients; }

  bool operator==(const WireBytes&) const = default;
};

/// The exact bytes of rank `rank` where `asked[r][o]` distinct keys go from rank r to their owner
/// o: one table of rows of `dim` floats, answered with rows, and as many slices as ranks or more,
/// both powers of two (so that a rank's gradients are one partial per key).
WireBytes wire_bytes(const std::vector<std::vector<std::int64_t>>& asked, std::size_t rank,
                     std::int64_t dim);

/// The same where `distinct` keys of each rank fall evenly on the ranks.
WireBytes even_wire_bytes(std::int64_t ranks, double distinct, std::int64_t dim);

}  // namespace keyshard
