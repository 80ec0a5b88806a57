// Mixing of integers: a bijection, and a hash of numbers in order that is its definition.
#include "runtime/hash.hpp"

#include <array>
#include <bit>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// The inverse of an odd number modulo 2^64, by Newton's iteration.
std::uint64_t inverse(std::uint64_t odd) {
  std::uint64_t x = odd;
  for (int i = 0; i < 6; ++i) {
    x *= 2 - odd * x;
  }
  return x;
}

/// Undoes x ^= x >> shift.
std::uint64_t undo_shift(std::uint64_t x, int shift) {
  std::uint64_t result = x;
  for (int done = shift; done < 64; done += shift) {
    result = x ^ (result >> shift);
  }
  return result;
}

/// The number that mix64 makes into `x`: its steps undone from the last to the first.
std::uint64_t unmix(std::uint64_t x) {
  x = undo_shift(x, 31);
  x *= inverse(0x94D049BB133111EBull);
  x = undo_shift(x, 27);
  x *= inverse(0xBF58476D1CE4E5B9ull);
  return undo_shift(x, 30);
}

/// Numbers with few, many and random bits.
std::vector<std::uint64_t> samples(unsigned seed) {
  std::vector<std::uint64_t> result{0, 1, 2, ~0ull, 1ull << 63, 0x5555555555555555ull};
  std::mt19937_64 random(seed);
  for (int i = 0; i < 500; ++i) {
    result.push_back(random());
  }
  return result;
}

TEST(Mix64, IsABijection) {
  for (const std::uint64_t x : samples(1)) {
    EXPECT_EQ(unmix(mix64(x)), x);
    EXPECT_EQ(mix64(unmix(x)), x);
  }
}

TEST(Mix64, LetsEveryBitOfItsArgumentTurnAboutHalfTheBitsOfItsResult) {
  const std::vector<std::uint64_t> numbers = samples(2);
  for (int bit = 0; bit < 64; ++bit) {
    int turned = 0;
    for (const std::uint64_t x : numbers) {
      turned += std::popcount(mix64(x) ^ mix64(x ^ (1ull << bit)));
    }
    // The mean of 506 counts of 64 fair bits: 32, with a deviation of 4 / sqrt(506) = 0.18.
    const double mean = static_cast<double>(turned) / static_cast<double>(numbers.size());
    EXPECT_NEAR(mean, 32, 1.0) << "bit " << bit;
  }
}

TEST(Mix64, IsAConstantOfTheCompilerToo) {
  static_assert(mix64(0) == 0);
  // The first output of splitmix64 from state 0 is mix64 of its increment.
  static_assert(mix64(0x9E3779B97F4A7C15ull) == 0xE220A8397B1DCDAFull);
  EXPECT_EQ(mix64(0x9E3779B97F4A7C15ull), 0xE220A8397B1DCDAFull);
}

TEST(HashOf, TellsManyNeighbouringPlacesApart) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t a = 0; a < 20; ++a) {
    for (std::uint64_t b = 0; b < 20; ++b) {
      for (std::uint64_t c = 0; c < 20; ++c) {
        seen.insert(hash_of(a, b, c));
      }
    }
  }
  EXPECT_EQ(seen.size(), 8000u);
}

TEST(HashOf, SpreadsConsecutiveNumbersEvenlyOverBuckets) {
  std::array<int, 64> buckets{};
  for (std::uint64_t i = 0; i < 64'000; ++i) {
    ++buckets[hash_of(7, i) % 64];
  }
  double chi_squared = 0;
  for (const int count : buckets) {
    chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  }
  // 63 degrees of freedom: mean 63, deviation 11.2; five deviations above the mean.
  EXPECT_LT(chi_squared, 119);
}

TEST(HashOf, TakesSignedNumbersAsTheyLieInTheirBits) {
  EXPECT_EQ(hash_of(1, std::int64_t{-1}), hash_of(1, ~0ull));
  EXPECT_NE(hash_of(1, std::int64_t{-1}), hash_of(1, 1));
}

}  // namespace
}  // namespace keyshard
