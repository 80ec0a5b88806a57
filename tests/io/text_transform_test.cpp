// The numbers of dense columns: those that come from a table against the formula.
#include "io/text_transform.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "runtime/portable_math.hpp"

namespace keyshard {
namespace {

TEST(TextTransform, LogsOfCountsAreThoseOfTheFormula) {
  ColumnOptions column;
  column.transform = DenseTransform::log;
  for (int n = 0; n < 3000; ++n) {
    for (const double x : {n + 0.0, n + 0.5, std::nextafter(n, 0.0), std::nextafter(n, 1e9)}) {
      const double log = portable_log(1.0 + std::fabs(x));
      ASSERT_EQ(transformed(x, column), static_cast<float>(x < 0 ? -log : log)) << x;
      ASSERT_EQ(transformed(-x, column), static_cast<float>(x < 0 ? log : -log)) << x;
    }
  }
  EXPECT_TRUE(std::signbit(transformed(-0.0, column)));
  EXPECT_FALSE(std::signbit(transformed(0.0, column)));
}

}  // namespace
}  // namespace keyshard
