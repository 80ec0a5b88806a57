#include "runtime/random.hpp"

#include <array>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// Philox4x32-10 as its paper states it: ten rounds of (hi1 ^ R1 ^ k0, lo1, hi0 ^ R3 ^ k1, lo0) on
/// the words R, the keys raised by the golden ratio and by sqrt(3) - 1 between rounds.
std::vector<std::uint32_t> slow_philox(std::array<std::uint32_t, 4> r,
                                       std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const auto product = [](std::uint32_t a, std::uint32_t b) {
      const std::uint64_t p = static_cast<std::uint64_t>(a) * b;
      return std::pair(static_cast<std::uint32_t>(p >> 32), static_cast<std::uint32_t>(p));
    };
    const auto [high0, low0] = product(0xD2511F53, r[0]);
    const auto [high1, low1] = product(0xCD9E8D57, r[2]);
    r = {high1 ^ r[1] ^ key[0], low1, high0 ^ r[3] ^ key[1], low0};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return {r.begin(), r.end()};
}

std::vector<std::uint32_t> words(const Random4& random) { return {random.word, random.word + 4}; }

// Known answers: kat_vectors of Random123 1.14, lines "philox4x32 10".
TEST(Philox, GivesTheKnownAnswersOfItsAuthors) {
  EXPECT_EQ(words(philox(0, 0, 0)),
            (std::vector<std::uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words(philox(~0ull, ~0ull, ~0ull)),
            (std::vector<std::uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // Counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0.
  EXPECT_EQ(words(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e)),
            (std::vector<std::uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, TakesTheLowerWordOfSeedAndCountersFirst) {
  std::mt19937 random(21);
  const auto word = [&] { return static_cast<std::uint32_t>(random()); };
  for (int i = 0; i < 1000; ++i) {
    const std::array<std::uint32_t, 4> c{word(), word(), word(), word()};
    const std::array<std::uint32_t, 2> k{word(), word()};
    const auto join = [](std::uint64_t low, std::uint64_t high) { return high << 32 | low; };
    ASSERT_EQ(words(philox(join(k[0], k[1]), join(c[0], c[1]), join(c[2], c[3]))),
              slow_philox(c, k));
  }
}

TEST(Philox, IsAConstantOfTheCompilerToo) {
  static_assert(philox(0, 0, 0).word[0] == 0x6627e8d5);
  static_assert(philox(0, 0, 0).word[3] == 0x9b00dbd8);
}

TEST(Philox, TellsEveryCounterAndSeedApart) {
  std::set<std::vector<std::uint32_t>> seen;
  for (std::uint64_t a = 0; a < 16; ++a) {
    for (std::uint64_t b = 0; b < 16; ++b) {
      seen.insert(words(philox(a, b, 0)));
      seen.insert(words(philox(a, b << 32, 1)));
      seen.insert(words(philox(a << 32, b, 2)));
    }
  }
  EXPECT_EQ(seen.size(), 3u * 256u);
}

TEST(UnitFloat, LiesInItsIntervalAndIsUniformThere) {
  constexpr int kBuckets = 64, kEach = 2000;
  std::array<int, kBuckets> buckets{};
  for (std::uint64_t i = 0; i < kBuckets * kEach / 4; ++i) {
    for (const std::uint32_t word : words(philox(5, i, 0))) {
      const float u = unit_float(word);
      ASSERT_GE(u, 0.0f);
      ASSERT_LT(u, 1.0f);
      ++buckets[static_cast<std::size_t>(u * kBuckets)];
    }
  }
  double chi_squared = 0;
  for (const int count : buckets) {
    chi_squared += static_cast<double>((count - kEach) * (count - kEach)) / kEach;
  }
  // 63 degrees of freedom: mean 63, deviation 11.2; five deviations to both sides.
  EXPECT_LT(chi_squared, 119);
  EXPECT_GT(chi_squared, 7);
}

TEST(UnitFloat, TakesTheUpperTwentyFourBits) {
  EXPECT_EQ(unit_float(0), 0.0f);
  EXPECT_EQ(unit_float(0xFF), 0.0f);
  EXPECT_EQ(unit_float(0x100), 0x1p-24f);
  EXPECT_EQ(unit_float(0x80000000), 0.5f);
  EXPECT_EQ(unit_float(0xFFFFFFFF), 1.0f - 0x1p-24f);
}

}  // namespace
}  // namespace keyshard
