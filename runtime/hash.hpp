// Mixing of integers, for host and device. Bytes are hashed in digest.hpp.
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014; constants of Stafford's variant 13): a
/// bijection.
KEYSHARD_HD constexpr std::uint64_t mix64(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ull;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBull;
  x ^= x >> 31;
  return x;
}

/// A hash of several numbers, in order.
template <class... Rest>
KEYSHARD_HD constexpr std::uint64_t hash_of(std::uint64_t first, Rest... rest) {
  std::uint64_t h = mix64(first + 0x9E3779B97F4A7C15ull);
  ((h = mix64(h * 0x9E3779B97F4A7C15ull + static_cast<std::uint64_t>(rest) +
              0x632BE59BD9B4E019ull)),
   ...);
  return h;
}

}  // namespace keyshard
