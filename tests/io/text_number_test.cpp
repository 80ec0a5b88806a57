// Numbers that no double can hold: too small ones are 0, too large ones are no numbers.
#include "io/text_number.hpp"

#include <cmath>
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

}  // namespace
}  // namespace keyshard
