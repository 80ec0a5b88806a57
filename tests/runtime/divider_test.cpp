// The product against the division of the processor.
#include "runtime/divider.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

constexpr std::uint32_t kMost = 0xFFFFFFFFu;

/// Numbers about multiples of the divisor, where a quotient changes, and the ends of the range.
void expect_quotients(std::uint32_t divisor, std::mt19937& random) {
  const Divider divider(divisor);
  EXPECT_EQ(divider.divisor(), divisor);
  std::vector<std::uint32_t> numbers{0, 1, divisor, kMost, kMost - 1};
  for (int i = 0; i < 50; ++i) {
    const std::uint32_t multiple = static_cast<std::uint32_t>(random()) / divisor * divisor;
    numbers.insert(numbers.end(), {multiple, multiple - 1, multiple + 1});
  }
  numbers.push_back(kMost / divisor * divisor);  // the last multiple, and the number before it
  numbers.push_back(kMost / divisor * divisor - 1);
  for (const std::uint32_t n : numbers) {
    ASSERT_EQ(divider.quotient(n), n / divisor) << n << " / " << divisor;
  }
}

TEST(Divider, IsExactForEverySmallDivisor) {
  std::mt19937 random(1);
  for (std::uint32_t divisor = 1; divisor <= 1000; ++divisor) {
    expect_quotients(divisor, random);
  }
}

TEST(Divider, IsExactForAnyDivisorOf32Bits) {
  std::mt19937 random(2);
  for (int i = 0; i < 10'000; ++i) {
    expect_quotients(std::max<std::uint32_t>(static_cast<std::uint32_t>(random()), 1), random);
    const auto shorter = static_cast<std::uint32_t>(random() >> random() % 31);
    expect_quotients(std::max<std::uint32_t>(shorter, 1), random);
  }
  for (const std::uint32_t divisor : {1u << 31, (1u << 31) + 1, kMost - 1, kMost}) {
    expect_quotients(divisor, random);
  }
}

TEST(Divider, DividesByOneWhereNothingWasSaid) { EXPECT_EQ(Divider().quotient(7), 7u); }

}  // namespace
}  // namespace keyshard
