#include "launch/bench/random_draw.hpp"

#include <algorithm>
#include <bit>

#include "runtime/error.hpp"
#include "runtime/portable_math.hpp"

namespace keyshard {

Pcg64::Pcg64(std::uint64_t seed, std::uint64_t stream)
    : state_(0), increment_((Wide{stream} << 1) | 1) {
  next();
  state_ += seed;
  next();
}

std::uint64_t Pcg64::next() {
  constexpr Wide kMultiplier = (Wide{0x2360ED051FC65DA4ull} << 64) | 0x4385DF649FCCF645ull;
  state_ = state_ * kMultiplier + increment_;
  const auto folded = static_cast<std::uint64_t>(state_ >> 64) ^ static_cast<std::uint64_t>(state_);
  return std::rotr(folded, static_cast<int>(state_ >> 122));
}

RankDraw::RankDraw(const std::vector<std::uint64_t>& weights) {
  __extension__ using Wide = unsigned __int128;
  std::uint64_t total = 0;
  for (const std::uint64_t w : weights) {
    total += w;
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t w : weights) {
    sum += w;
    thresholds_.push_back(static_cast<std::uint64_t>((Wide{sum} << 53) / total));
  }
  std::uint32_t k = 0;
  for (std::uint64_t i = 0; i <= std::uint64_t{1} << kGuideBits; ++i) {
    while (k + 1 < thresholds_.size() && thresholds_[k] <= i << (53 - kGuideBits)) {
      ++k;
    }
    guide_.push_back(k);
  }
}

std::uint32_t RankDraw::operator()(std::uint64_t random) const {
  const std::uint64_t x = random >> 11;
  const auto cell = static_cast<std::size_t>(x >> (53 - kGuideBits));
  const auto begin = thresholds_.begin();
  return static_cast<std::uint32_t>(
      std::upper_bound(begin + guide_[cell], begin + guide_[cell + 1], x) - begin);
}

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

std::vector<std::uint64_t> zipf_weights(std::int64_t size, double exponent) {
  std::vector<std::uint64_t> weights;
  for (std::int64_t k = 0; k < size; ++k) {
    weights.push_back(
        static_cast<std::uint64_t>(0x1p40 * portable_power(static_cast<double>(k + 1), -exponent)));
  }
  return weights;
}

std::vector<std::uint64_t> geometric_weights(std::int64_t size, double ratio) {
  std::vector<std::uint64_t> weights;
  for (std::int64_t k = 0; k < size; ++k) {
    weights.push_back(
        static_cast<std::uint64_t>(0x1p40 * portable_power(ratio, static_cast<double>(k))));
  }
  return weights;
}

}  // namespace keyshard
