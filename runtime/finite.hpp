// Whether numbers are finite, by their bits: loops over many of them become vector instructions.
#pragma once

#include <bit>
#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

KEYSHARD_HD inline bool not_finite(float x) {
  return (std::bit_cast<std::uint32_t>(x) & 0x7F800000u) == 0x7F800000u;
}

KEYSHARD_HD inline bool not_finite(double x) {
  return (std::bit_cast<std::uint64_t>(x) & 0x7FF0000000000000u) == 0x7FF0000000000000u;
}

/// How many of x [n], fewer than 2^32, are infinite or no numbers.
template <class T>
KEYSHARD_HD std::uint32_t count_not_finite(const T* x, std::int64_t n) {
  std::uint32_t count = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    count += not_finite(x[i]) ? 1 : 0;
  }
  return count;
}

}  // namespace keyshard
