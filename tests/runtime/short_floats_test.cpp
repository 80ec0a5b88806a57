// Floats of 16 bits against their definition: every number of both types, and what is rounded to
// it.
#include "runtime/short_floats.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// What makes a type: bits of its fraction, and the exponent of its smallest normal numbers.
struct Form {
  int fraction;
  int least;
};

template <class Type>
Form form_of();

template <>
Form form_of<Float16>() {
  return {10, -14};
}

template <>
Form form_of<Bfloat16>() {
  return {7, -126};
}

/// The number that bits without a sign stand for, as if the largest exponent were one of numbers.
double defined(const Form& form, std::uint32_t bits) {
  const std::uint32_t exponent = bits >> form.fraction;
  const double fraction = std::ldexp(bits & ((1u << form.fraction) - 1), -form.fraction);
  return exponent == 0 ? std::ldexp(fraction, form.least)
                       : std::ldexp(1 + fraction, static_cast<int>(exponent) - 1 + form.least);
}

/// The bits of infinity.
std::uint32_t infinity_of(const Form& form) { return 0x7FFFu >> form.fraction << form.fraction; }

template <class Type>
class ShortFloats : public ::testing::Test {};

using Types = ::testing::Types<Float16, Bfloat16>;
TYPED_TEST_SUITE(ShortFloats, Types);

TYPED_TEST(ShortFloats, EveryNumberIsThatOfItsBitsAndIsKept) {
  const Form form = form_of<TypeParam>();
  for (std::uint32_t bits = 0; bits < 0x8000u; ++bits) {
    for (const std::uint32_t sign : {0u, 0x8000u}) {
      const auto half = static_cast<std::uint16_t>(bits | sign);
      const float value = TypeParam::widen(half);
      ASSERT_EQ(std::signbit(value), sign != 0) << half;
      if (bits > infinity_of(form)) {
        ASSERT_TRUE(std::isnan(value)) << half;
        const std::uint16_t back = TypeParam::narrow(value);
        ASSERT_GT(back & 0x7FFFu, infinity_of(form)) << half;
        ASSERT_EQ(back & 0x8000u, sign) << half;
        continue;
      }
      ASSERT_EQ(TypeParam::narrow(value), half);
      if (bits == infinity_of(form)) {
        ASSERT_TRUE(std::isinf(value));
      } else {
        ASSERT_EQ(static_cast<double>(std::abs(value)), defined(form, bits)) << half;
      }
    }
  }
}

TYPED_TEST(ShortFloats, TheNearestNumberIsKeptAndOfTwoTheEvenOne) {
  const Form form = form_of<TypeParam>();
  for (std::uint32_t below = 0; below < infinity_of(form); ++below) {
    const std::uint32_t above = below + 1, even = below % 2 == 0 ? below : above;
    const auto middle = static_cast<float>((defined(form, below) + defined(form, above)) / 2);
    ASSERT_EQ(static_cast<double>(middle), (defined(form, below) + defined(form, above)) / 2);
    ASSERT_EQ(TypeParam::narrow(middle), even);
    ASSERT_EQ(TypeParam::narrow(-middle), even | 0x8000u);
    const float less = std::nextafter(middle, 0.0f), more = std::nextafter(middle, HUGE_VALF);
    ASSERT_EQ(TypeParam::narrow(less), below);
    ASSERT_EQ(TypeParam::narrow(more), above);
    ASSERT_EQ(TypeParam::narrow(-less), below | 0x8000u);
    ASSERT_EQ(TypeParam::narrow(-more), above | 0x8000u);
  }
}

TYPED_TEST(ShortFloats, TheEndsOfTheRangeOfFloats) {
  constexpr float kMost = std::numeric_limits<float>::max(), kInfinity = HUGE_VALF;
  const std::uint32_t infinity = infinity_of(form_of<TypeParam>());
  for (const float value : {kMost, kInfinity}) {
    EXPECT_EQ(TypeParam::narrow(value), infinity);
    EXPECT_EQ(TypeParam::narrow(-value), infinity | 0x8000u);
  }
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(TypeParam::narrow(kLeast), 0u);
  EXPECT_EQ(TypeParam::narrow(-kLeast), 0x8000u);
  // NaNs whose payload stands in the bits that go.
  for (const std::uint32_t bits : {0x7F800001u, 0xFF800001u, 0x7FFFFFFFu}) {
    EXPECT_TRUE(std::isnan(TypeParam::widen(TypeParam::narrow(std::bit_cast<float>(bits)))));
  }
}

TEST(Float16, HasTheNumbersOfTheStandardsTables) {
  EXPECT_EQ(Float16::widen(0x3C00), 1.0f);
  EXPECT_EQ(Float16::widen(0xBC01), -1.0009765625f);
  EXPECT_EQ(Float16::widen(0x0400), 0x1p-14f);
  EXPECT_EQ(Float16::widen(0x83FF), -1023 * 0x1p-24f);
  EXPECT_EQ(Float16::widen(0x7BFF), 65504.0f);
  EXPECT_EQ(Float16::narrow(65519.99f), 0x7BFFu);
  EXPECT_EQ(Float16::narrow(65520.0f), 0x7C00u);
}

TEST(Bfloat16, IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(Bfloat16::widen(0x3F80), 1.0f);
  EXPECT_EQ(Bfloat16::widen(0xC049), -3.140625f);
  EXPECT_EQ(Bfloat16::narrow(3.14159265f), 0x4049u);
}

/// Floats of every size, 1,009 apart, and what lies around the bounds of the types.
std::vector<float> many_floats() {
  std::vector<float> floats;
  for (std::uint64_t bits = 0; bits <= 0xFFFFFFFFu; bits += 1009) {
    floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  for (const float bound : {0.0f, 0x1p-14f, 0x1p-24f, 0x1p-25f, 65504.0f, 65520.0f, HUGE_VALF}) {
    for (const float sign : {1.0f, -1.0f}) {
      floats.insert(floats.end(), {sign * bound, std::nextafter(sign * bound, 0.0f),
                                   std::nextafter(sign * bound, sign * HUGE_VALF)});
    }
  }
  return floats;
}

TYPED_TEST(ShortFloats, ArraysOfAnyLengthAreConvertedAsTheirNumbersAre) {
  std::vector<std::uint16_t> halves(0x10000);
  std::iota(halves.begin(), halves.end(), std::uint16_t{0});
  const std::vector<float> floats = many_floats();
  for (const std::size_t length :
       {halves.size(), std::size_t{1}, std::size_t{7}, std::size_t{19}}) {
    std::vector<float> wide(length);
    widen_all<TypeParam>(std::ssize(wide), halves.data(), wide.data());
    for (std::size_t i = 0; i < length; ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[i]),
                std::bit_cast<std::uint32_t>(TypeParam::widen(halves[i])))
          << halves[i];
    }
  }
  for (const std::size_t length :
       {floats.size(), std::size_t{1}, std::size_t{7}, std::size_t{19}}) {
    std::vector<std::uint16_t> narrow(length);
    narrow_all<TypeParam>(std::ssize(narrow), floats.data(), narrow.data());
    for (std::size_t i = 0; i < length; ++i) {
      ASSERT_EQ(narrow[i], TypeParam::narrow(floats[i])) << floats[i];
    }
  }
}

}  // namespace
}  // namespace keyshard
