// The random numbers of the benchmark's workloads, made from integers so that any program can make
// the same numbers: the 128-bit PCG XSL-RR generator, and draws from a table of thresholds.
#pragma once

#include <cstdint>
#include <vector>

namespace keyshard {

/// PCG XSL-RR 128/64 ("pcg64" of M. E. O'Neill, PCG, 2014), seeded as its reference
/// pcg_setseq_128_srandom_r does.
class Pcg64 {
 public:
  Pcg64(std::uint64_t seed, std::uint64_t stream);

  std::uint64_t next();

 private:
  __extension__ using Wide = unsigned __int128;

  Wide state_;
  Wide increment_;
};

/// Draws k with a probability proportional to w(k), k = 0 .. n - 1: the smallest k with T(k) >
/// (next >> 11), where T(k) = floor(C(k) 2^53 / C(n - 1)) and C are the sums of w.
class RankDraw {
 public:
  explicit RankDraw(const std::vector<std::uint64_t>& weights);

  std::uint32_t operator()(std::uint64_t random) const;

 private:
  static constexpr int kGuideBits = 16;

  std::vector<std::uint64_t> thresholds_;
  std::vector<std::uint32_t> guide_;  // first k to look at, by the upper bits of the number
};

/// Weights floor(2^40 (k + 1)^-exponent).
std::vector<std::uint64_t> zipf_weights(std::int64_t size, double exponent);
/// Weights floor(2^40 ratio^k).
std::vector<std::uint64_t> geometric_weights(std::int64_t size, double ratio);

}  // namespace keyshard
