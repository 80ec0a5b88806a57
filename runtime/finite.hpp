// Whether numbers are finite, by their bits: loops over many of them become vector instructions.
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

KEYSHARD_HD inline bool not_finite(float x) {
  return (std::bit_cast<std::uint32_t>(x) & 0x7F800000u) == 0x7F800000u;
}

/// How many of x [width] are infinite or no numbers.
template <class Width>
KEYSHARD_HD std::uint32_t count_not_finite(const float* x, Width width) {
  std::uint32_t count = 0;
  for (std::int64_t d = 0; d < width; ++d) {
    count += not_finite(x[d]) ? 1 : 0;
  }
  return count;
}

}  // namespace keyshard
