// Logarithm, exponential, power, root and normal quantile of portable_math.hpp, against those of
// the C library in long double, and against printed tables.
#include "runtime/portable_math.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// |found - expected| as a part of |expected|; where zero is expected, |found|.
double relative_error(double found, long double expected) {
  const long double difference = std::fabs(static_cast<long double>(found) - expected);
  return static_cast<double>(expected == 0 ? difference : difference / std::fabs(expected));
}

/// The number below which a standard normal variable lies with probability p, by bisection of its
/// distribution.
long double slow_quantile(long double p) {
  long double low = -40, high = 40;
  for (int i = 0; i < 200; ++i) {
    const long double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.0L)) / 2 < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

TEST(PortableLog, IsTheLogarithmOfAnyNormalNumber) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> exponent(-1022, 1023), mantissa(1, 2);
  for (int i = 0; i < 20'000; ++i) {
    const double x = std::ldexp(mantissa(random), static_cast<int>(exponent(random)));
    ASSERT_LT(relative_error(portable_log(x), std::log(static_cast<long double>(x))), 1e-14) << x;
  }
}

TEST(PortableLog, IsExactAtOneAndSmallBesideIt) {
  EXPECT_EQ(portable_log(1.0), 0.0);
  for (const double step : {0x1p-52, 1e-12, 1e-6, 1e-3, 0.1}) {
    for (const double x : {1.0 + step, 1.0 - step}) {
      EXPECT_LT(relative_error(portable_log(x), std::log(static_cast<long double>(x))), 1e-14) << x;
    }
  }
}

TEST(PortableLog, TakesTheEndsOfTheNormalNumbers) {
  const double least = std::numeric_limits<double>::min();
  const double most = std::numeric_limits<double>::max();

  EXPECT_LT(relative_error(portable_log(least), std::log(static_cast<long double>(least))), 1e-14);
  EXPECT_LT(relative_error(portable_log(most), std::log(static_cast<long double>(most))), 1e-14);
}

TEST(PortableExp, IsTheExponentialOfNumbersBelowSevenHundred) {
  EXPECT_EQ(portable_exp(0.0), 1.0);
  std::mt19937_64 random(12);
  for (const double range : {1e-6, 0.5, 10.0, 699.9}) {
    std::uniform_real_distribution<double> draw(-range, range);
    for (int i = 0; i < 5000; ++i) {
      const double x = draw(random);
      ASSERT_LT(relative_error(portable_exp(x), std::exp(static_cast<long double>(x))), 1e-14) << x;
    }
  }
}

TEST(PortableExp, UndoesTheLogarithm) {
  for (const double x : {1e-300, 1e-9, 0.25, 1.0, 3.0, 1e9, 1e300}) {
    // An error of 1e-14 in a logarithm of up to 691 becomes one of 7e-12 in the number.
    EXPECT_LT(relative_error(portable_exp(portable_log(x)), x), 7e-12) << x;
  }
}

TEST(PortableDecay, IsTheExponentialOfNegativeNumbers) {
  EXPECT_EQ(portable_decay(0.0f), 1.0f);
  std::mt19937_64 random(14);
  for (const float range : {1e-6f, 0.5f, 10.0f, 87.0f}) {
    std::uniform_real_distribution<float> draw(-range, 0.0f);
    for (int i = 0; i < 20'000; ++i) {
      const float x = draw(random);
      ASSERT_LT(relative_error(static_cast<double>(portable_decay(x)),
                               std::exp(static_cast<long double>(x))),
                0x1p-23)
          << x;
    }
  }
}

TEST(PortableDecay, IsZeroWhereFloatsEndAndKeepsWhatIsNoNumber) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_GT(portable_decay(-87.0f), std::numeric_limits<float>::min());
  EXPECT_EQ(portable_decay(std::nextafter(-87.0f, -kInfinity)), 0.0f);
  EXPECT_EQ(portable_decay(-1e30f), 0.0f);
  EXPECT_EQ(portable_decay(-kInfinity), 0.0f);
  EXPECT_TRUE(std::isnan(portable_decay(std::numeric_limits<float>::quiet_NaN())));
}

TEST(PortableLogFloat, IsTheLogarithmOfAnyNormalNumber) {
  EXPECT_EQ(portable_log_float(1.0f), 0.0f);
  std::mt19937_64 random(15);
  for (const float range : {0.01f, 1.0f, 20.0f, 126.0f}) {
    std::uniform_real_distribution<float> exponent(-range, range);
    for (int i = 0; i < 20'000; ++i) {
      const float x = std::exp2(exponent(random));
      const long double expected = std::log(static_cast<long double>(x));
      ASSERT_LE(std::fabs(static_cast<long double>(portable_log_float(x)) - expected),
                0x1p-23L * std::fabs(expected))
          << x;
    }
  }
}

TEST(Choose, TakesOneOfTwoNumbersAsItIs) {
  EXPECT_EQ(choose(true, 1.5f, 2.5f), 1.5f);
  EXPECT_EQ(choose(false, 1.5f, 2.5f), 2.5f);
  EXPECT_TRUE(std::signbit(choose(true, -0.0f, 1.0f)));
  EXPECT_TRUE(std::isnan(choose(false, 1.0f, std::numeric_limits<float>::quiet_NaN())));
}

TEST(PortablePower, IsThePowerAndZeroAtZero) {
  EXPECT_EQ(portable_power(0.0, 0.5), 0.0);
  EXPECT_EQ(portable_power(1.0, 123.0), 1.0);
  std::mt19937_64 random(13);
  std::uniform_real_distribution<double> base(0, 1), exponent(0.01, 3);
  for (int i = 0; i < 5000; ++i) {
    const double x = base(random), p = exponent(random);
    const long double expected = std::pow(static_cast<long double>(x), static_cast<long double>(p));
    ASSERT_LT(relative_error(portable_power(x, p), expected), 2e-14) << x << " to the " << p;
  }
}

TEST(PortablePower, OfASubnormalNumberIsZeroToo) {
  EXPECT_EQ(portable_power(std::numeric_limits<double>::denorm_min(), 2.0), 0.0);
}

// r is the root of x to the nearest double where x lies between the squares of r minus and plus
// half a unit of its last place; fma gives r * r - x without an error.
TEST(PortableSqrt, IsRoundedCorrectly) {
  std::mt19937_64 random(14);
  std::uniform_real_distribution<double> draw(0, 1e6);
  for (int i = 0; i < 5000; ++i) {
    const double x = draw(random), r = portable_sqrt(x);
    const long double unit = static_cast<long double>(std::nextafter(r, 2e6)) - r;
    const long double excess = std::fma(r, r, -x);
    ASSERT_LE(excess, r * unit - unit * unit / 4) << x;
    ASSERT_GE(excess, -(r * unit + unit * unit / 4)) << x;
  }
  EXPECT_EQ(portable_sqrt(0.0), 0.0);
  EXPECT_EQ(portable_sqrt(2.25), 1.5);
}

TEST(Polynomial, AddsThePowersOfItsArgument) {
  EXPECT_EQ(polynomial({5.0}, 100.0), 5.0);
  EXPECT_EQ(polynomial({2.0, -3.0, 4.0}, 10.0), 174.0);  // 200 - 30 + 4
}

// W. J. Conover's and every other printed table: the percent points of the standard normal.
TEST(NormalQuantile, GivesThePercentPointsOfPrintedTables) {
  EXPECT_EQ(normal_quantile(0.5), 0.0);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 4e-15);
  EXPECT_NEAR(normal_quantile(0.95), 1.6448536269514722, 4e-15);
  EXPECT_NEAR(normal_quantile(0.999), 3.090232306167813, 8e-15);
  EXPECT_NEAR(normal_quantile(1e-12), -7.034483825301131, 1e-14);
}

TEST(NormalQuantile, InvertsTheDistributionInTheMiddleAndInTheTails) {
  for (const double p : {1e-300, 1e-100, 1e-20, 1e-11, 1e-5, 0.01, 0.0749, 0.0751, 0.2, 0.4, 0.4999,
                         0.6, 0.9, 0.9249, 0.9251, 0.99, 0.99999}) {
    EXPECT_LT(relative_error(normal_quantile(p), slow_quantile(p)), 4e-14) << p;
  }
}

TEST(NormalQuantile, IsOddAboutOneHalfAndGrows) {
  double before = normal_quantile(0x1p-24);
  for (int i = 2; i < 4096; ++i) {
    const double p = i * 0x1p-12;
    EXPECT_EQ(normal_quantile(1.0 - p), -normal_quantile(p)) << p;
    EXPECT_LT(before, normal_quantile(p)) << p;
    before = normal_quantile(p);
  }
}

}  // namespace
}  // namespace keyshard
