#include "launch/bench/random_draw.hpp"

#include <algorithm>
#include <bit>

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
