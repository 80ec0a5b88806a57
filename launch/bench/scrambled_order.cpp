#include "launch/bench/scrambled_order.hpp"

#include <bit>

#include "runtime/error.hpp"

namespace keyshard {

ScrambledOrder::ScrambledOrder(std::int64_t size)
    : size_(static_cast<std::uint64_t>(size)),
      mask_(std::bit_ceil(size_) - 1),
      shift_((static_cast<int>(std::bit_width(mask_)) + 1) / 2) {}

/// Each step maps the numbers of so many bits one to one.
std::uint64_t ScrambledOrder::scrambled(std::uint64_t x) const {
  for (const std::uint64_t odd : {0x9E3779B97F4A7C15ull, 0xD6E8FEB86659FD93ull}) {
    x = x * odd & mask_;
    x ^= x >> shift_;
  }
  return x;
}

std::vector<std::uint32_t> ScrambledOrder::next(std::int64_t n) {
  require(n <= static_cast<std::int64_t>(size_), Kind::invalid_argument,
          "expected at most {} numbers of an order: found {}", size_, n);
  if (given_ + n > static_cast<std::int64_t>(size_)) {
    given_ = 0;
    at_ = 0;
  }
  std::vector<std::uint32_t> numbers;
  numbers.reserve(static_cast<std::size_t>(n));
  while (std::ssize(numbers) < n) {
    const std::uint64_t number = scrambled(at_++);
    if (number < size_) {
      numbers.push_back(static_cast<std::uint32_t>(number));
    }
  }
  given_ += n;
  return numbers;
}

}  // namespace keyshard
