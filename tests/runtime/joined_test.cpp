#include "runtime/joined.hpp"

#include <gtest/gtest.h>

namespace keyshard {
namespace {

TEST(Joined, PutsTheSeparatorBetweenItems) {
  EXPECT_EQ(joined(std::vector<std::string>{"one", "", "three"}, ", "), "one, , three");
  EXPECT_EQ(joined(std::vector<std::string_view>{"a", "b"}, ""), "ab");
  EXPECT_EQ(joined(std::vector<std::int64_t>{7, -1, 0}, " x "), "7 x -1 x 0");
}

TEST(Joined, ShowsANumberWithTheDigitsThatTellItApart) {
  EXPECT_EQ(joined(std::vector<double>{0.1, -2.5, 1e300}, ", "), "0.1, -2.5, 1e+300");
}

TEST(Joined, IsEmptyForNoItems) { EXPECT_EQ(joined(std::vector<std::string>{}, ", "), ""); }

}  // namespace
}  // namespace keyshard
