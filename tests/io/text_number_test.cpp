// Numbers that no double can hold: too small ones are 0, too large ones are no numbers. Whole
// numbers that are read 8 digits at once are those that are read digit by digit.
#include "io/text_number.hpp"

#include <cmath>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

TEST(TextNumber, TooSmallForADoubleIsZero) {
  for (const char* cell :
       {"1e-400", "4.9e-400", "0.1e-330", "123456e-500", "1e-99999999999999999999", "+1e-400",
        "0e999999", "0e-999999", "0.000e400"}) {
    ASSERT_TRUE(parse_number(cell)) << cell;
    EXPECT_EQ(*parse_number(cell), 0) << cell;
  }
  EXPECT_TRUE(std::signbit(*parse_number("-1e-400")));
  EXPECT_FALSE(std::signbit(*parse_number("1e-400")));
  EXPECT_EQ(parse_number("0." + std::string(400, '0') + "1"), 0);
  EXPECT_EQ(parse_number("1" + std::string(400, '0') + "e-900"), 0);
}

TEST(TextNumber, ThatADoubleHoldsOnlyRoughlyIsItsNearest) {
  EXPECT_EQ(parse_number("1e-320"), 1e-320);
  EXPECT_EQ(parse_number("4.9e-324"), 4.9e-324);
  EXPECT_EQ(parse_number("0." + std::string(400, '0') + "1e401"), 1);
  EXPECT_EQ(parse_number("1" + std::string(400, '0') + "e-400"), 1);
}

TEST(TextNumber, TooLargeForADoubleIsNone) {
  for (const std::string& cell :
       {std::string("1e400"), std::string("-1e400"), std::string("1e99999999999999999999"),
        "1" + std::string(400, '0'), "0.001e" + std::string("400")}) {
    EXPECT_FALSE(parse_number(cell)) << cell;
  }
}

TEST(TextNumber, UnderflowsWhereItsFirstDigitIsBehindThePoint) {
  EXPECT_TRUE(underflows("1e-400"));
  EXPECT_TRUE(underflows("-12345e-400"));
  EXPECT_TRUE(underflows("0.01e-3"));
  EXPECT_TRUE(underflows("0"));
  EXPECT_FALSE(underflows("1e400"));
  EXPECT_FALSE(underflows("0.01e+400"));
  EXPECT_FALSE(underflows("12345"));
}

TEST(TextNumber, WholeOnesHave64Bits) {
  EXPECT_EQ(parse_integer("0"), 0u);
  EXPECT_EQ(parse_integer("+7"), 7u);
  EXPECT_EQ(parse_integer("-0"), 0u);
  EXPECT_EQ(parse_integer("-1"), ~std::uint64_t{0});
  EXPECT_EQ(parse_integer("12345678"), 12345678u);
  EXPECT_EQ(parse_integer("123456789012345678"), 123456789012345678u);
  EXPECT_EQ(parse_integer("18446744073709551615"), ~std::uint64_t{0});
  EXPECT_EQ(parse_integer("-9223372036854775808"), std::uint64_t{1} << 63);
  EXPECT_EQ(parse_integer("00000000000000000000000000000042"), 42u);
  for (const char* cell :
       {"", "+", "-", "+-1", "--1", "-+1", "++1", " 1", "1 ", "1.0", "1e3", "0x1",
        "18446744073709551616", "99999999999999999999", "-9223372036854775809",
        "-18446744073709551615", "1234567:", "123456/8", "12345678901234567a"}) {
    EXPECT_FALSE(parse_integer(cell)) << cell;
  }
}

TEST(TextNumber, WholeOnesAreThoseOfThePlainParser) {
  std::mt19937_64 random(7);
  const auto same = [](const std::string& cell) {
    EXPECT_EQ(parse_integer(cell), parse_integer_plainly(cell)) << cell;
  };
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t number = random() >> random() % 64;
    std::string cell = std::to_string(number);
    same(cell);
    same("-" + cell);
    same("+" + cell);
    same(std::string(random() % 24, '0') + cell);
    same(cell + std::to_string(random() % 100));
    cell[random() % cell.size()] = static_cast<char>(random());
    same(cell);
  }
}

void expect_as_plainly(const std::string& cell) {
  const std::optional<double> plain = parse_number_plainly(cell), number = parse_number(cell);
  ASSERT_EQ(number, plain) << cell;
  ASSERT_EQ(std::signbit(number.value_or(0)), std::signbit(plain.value_or(0))) << cell;
}

TEST(TextNumber, ShortDecimalsOfEveryShapeAreThoseOfThePlainParser) {
  const std::string cells =
      "- . -. -0 0. .0 -.5 7. 1..2 1.2.3 .1. --1 +1 +-1 -+1 1e3 999999999999999 9999999999999999 "
      "99999999999999.9 0.00000000000001 .000000000000001 9007199254740993 0.1 1,5 1/2 1:2 ";
  expect_as_plainly("");
  expect_as_plainly(" 1");
  expect_as_plainly("1 ");
  for (std::size_t at = 0; at < cells.size();) {
    const std::size_t end = cells.find(' ', at);
    expect_as_plainly(cells.substr(at, end - at));
    at = end + 1;
  }
}

TEST(TextNumber, RandomShortDecimalsAreThoseOfThePlainParser) {
  std::mt19937_64 random(8);
  for (int i = 0; i < 200000; ++i) {
    std::string cell = std::to_string(random() >> random() % 64);
    cell = cell.substr(0, 1 + random() % cell.size());
    expect_as_plainly(cell);
    cell.insert(random() % (cell.size() + 1), ".");
    expect_as_plainly(cell);
    expect_as_plainly("-" + cell);
    cell[random() % cell.size()] = static_cast<char>(random());
    expect_as_plainly(cell);
  }
}

}  // namespace
}  // namespace keyshard
