// Division by a number that stays the same, done as a multiplication: in a loop, a division
// instruction would cost as much as the work per index. Exact for 32-bit numbers. Source: Lemire,
// Kaser, Kurz, Faster remainder by direct computation, 2019.
#pragma once

#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

class Divider {
 public:
  Divider() = default;

  /// Divides by `divisor` > 0.
  explicit Divider(std::uint32_t divisor)
      : divisor_(divisor), inverse_(~std::uint64_t{0} / divisor + 1) {}

  KEYSHARD_HD std::uint32_t divisor() const { return divisor_; }

  KEYSHARD_HD std::uint32_t quotient(std::uint32_t n) const {
    __extension__ using Wide = unsigned __int128;
    // The inverse of 1 is 2^64, which a word does not hold.
    return divisor_ == 1 ? n : static_cast<std::uint32_t>((Wide{inverse_} * n) >> 64);
  }

 private:
  std::uint32_t divisor_ = 1;
  std::uint64_t inverse_ = 0;
};

}  // namespace keyshard
