// Random numbers of the benchmark: the generator by its definition, and draws by their thresholds,
// one by one and as often as their weights say.
#include "launch/bench/random_draw.hpp"

#include <cmath>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

__extension__ using Wide = unsigned __int128;

/// pcg_setseq_128_srandom_r and pcg_setseq_128_xsl_rr_64_random_r of the reference in C.
class SlowPcg {
 public:
  SlowPcg(std::uint64_t seed, std::uint64_t stream) {
    increment_ = (static_cast<Wide>(stream) << 1) | 1;
    state_ = 0;
    step();
    state_ += seed;
    step();
  }

  std::uint64_t next() {
    step();
    const auto high = static_cast<std::uint64_t>(state_ >> 64);
    const auto low = static_cast<std::uint64_t>(state_);
    const auto turn = static_cast<unsigned>(high >> 58);
    const std::uint64_t folded = high ^ low;
    return (folded >> turn) | (folded << ((64 - turn) & 63));
  }

 private:
  void step() {
    const Wide multiplier =
        static_cast<Wide>(2549297995355413924ull) * (static_cast<Wide>(1) << 64) +
        4865540595714422341ull;
    state_ = state_ * multiplier + increment_;
  }

  Wide state_, increment_;
};

TEST(Pcg64, IsItsReferenceForAnySeedAndStream) {
  std::mt19937_64 seeds(1);
  for (int i = 0; i < 50; ++i) {
    const std::uint64_t seed = seeds(), stream = seeds();
    Pcg64 random(seed, stream);
    SlowPcg expected(seed, stream);
    for (int n = 0; n < 200; ++n) {
      ASSERT_EQ(random.next(), expected.next()) << "seed " << seed << ", stream " << stream;
    }
  }
}

TEST(Pcg64, StreamsOfOneSeedAreApart) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t stream = 0; stream < 100; ++stream) {
    Pcg64 random(1, stream);
    for (int n = 0; n < 20; ++n) {
      seen.insert(random.next());
    }
  }
  EXPECT_EQ(seen.size(), 2000u);
}

/// The smallest k whose threshold floor(C(k) 2^53 / C(n - 1)) is above the upper 53 bits.
std::uint32_t slow_draw(const std::vector<std::uint64_t>& weights, std::uint64_t random) {
  Wide total = 0, sum = 0;
  for (const std::uint64_t w : weights) {
    total += w;
  }
  for (std::uint32_t k = 0; k < weights.size(); ++k) {
    sum += weights[k];
    if (static_cast<std::uint64_t>((sum << 53) / total) > random >> 11) {
      return k;
    }
  }
  return ~0u;
}

/// Weights of every kind: none, few and many, equal and far apart.
std::vector<std::vector<std::uint64_t>> many_weights() {
  std::vector<std::vector<std::uint64_t>> all{
      {1}, {0, 1, 0}, {1, 0, 0, 5}, {std::uint64_t{1} << 40, 1}, {1, std::uint64_t{1} << 40}};
  all.push_back(std::vector<std::uint64_t>(1000, 3));
  all.push_back(zipf_weights(5000, 1.05));
  all.push_back(geometric_weights(40, 0.9));
  return all;
}

TEST(RankDraw, IsTheSmallestNumberWhoseThresholdIsAbove) {
  std::mt19937_64 random(2);
  for (const std::vector<std::uint64_t>& weights : many_weights()) {
    const RankDraw draw(weights);
    for (const std::uint64_t edge : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
      EXPECT_EQ(draw(edge), slow_draw(weights, edge)) << weights.size() << " weights";
    }
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t number = random();
      ASSERT_EQ(draw(number), slow_draw(weights, number)) << weights.size() << ", " << number;
    }
  }
}

TEST(RankDraw, IsRightOnBothSidesOfEveryThreshold) {
  const std::vector<std::uint64_t> weights{3, 1, 4, 1, 5, 9, 2, 6};
  const RankDraw draw(weights);
  std::uint64_t sum = 0;
  for (const std::uint64_t w : weights) {
    sum += w;
    const auto threshold =
        static_cast<std::uint64_t>((static_cast<Wide>(sum) << 53) / 31);  // 3 + 1 + ... + 6
    for (const std::uint64_t x : {threshold - 1, threshold}) {
      if (x < std::uint64_t{1} << 53) {
        EXPECT_EQ(draw(x << 11), slow_draw(weights, x << 11)) << x;
        EXPECT_EQ(draw(x << 11 | 0x7FF), slow_draw(weights, x << 11)) << x;
      }
    }
  }
}

TEST(RankDraw, DrawsAsOftenAsItsWeightsSay) {
  const std::vector<std::uint64_t> weights{50, 25, 15, 10};
  const RankDraw draw(weights);
  Pcg64 random(3, 4);
  std::vector<double> counts(weights.size());
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[draw(random.next())];
  }
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const double p = static_cast<double>(weights[k]) / 100;
    EXPECT_NEAR(counts[k], kDraws * p, 5 * std::sqrt(kDraws * p * (1 - p))) << k;
  }
}

TEST(Weights, OfZipfFallByThePowerOfTheRank) {
  const std::vector<std::uint64_t> weights = zipf_weights(1000, 1.05);
  ASSERT_EQ(weights.size(), 1000u);
  EXPECT_EQ(weights[0], std::uint64_t{1} << 40);
  for (const std::size_t k : {1u, 9u, 99u, 999u}) {
    const double expected = 0x1p40 * std::pow(static_cast<double>(k + 1), -1.05);
    EXPECT_NEAR(static_cast<double>(weights[k]), expected, 1.0 + 1e-12 * expected) << k;
  }
}

TEST(Weights, OfAGeometricLawFallByItsRatio) {
  const std::vector<std::uint64_t> weights = geometric_weights(41, 0.5);
  for (std::size_t k = 0; k <= 40; ++k) {
    const auto expected = static_cast<double>(std::uint64_t{1} << (40 - k));
    EXPECT_NEAR(static_cast<double>(weights[k]), expected, 1.0) << k;
  }
}

}  // namespace
}  // namespace keyshard
