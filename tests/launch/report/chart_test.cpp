// Pictures of curves: where their points lie, and that odd values break none.
#include "launch/report/chart.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST(Chart, AxesHaveRoundNumbersAroundTheValues) {
  EXPECT_EQ(axis_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(3, 47, 5), (std::vector<double>{0, 10, 20, 30, 40, 50}));
  EXPECT_EQ(axis_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  for (const double value : {0.0, 5.0, -3.0, 1e300, -1e-310, 1e-5}) {
    const std::vector<double> ticks = axis_ticks(value, value, 5);
    EXPECT_LE(ticks.front(), value);
    EXPECT_GE(ticks.back(), value);
    EXPECT_GE(ticks.size(), 2u);
    EXPECT_LE(ticks.size(), 7u);
  }
  EXPECT_LE(axis_ticks(-1e300, 1e300, 5).size(), 7u);
  EXPECT_LE(axis_ticks(1e300, std::nextafter(1e300, 2e300), 5).size(), 7u);
}

TEST(Chart, NumbersAreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(-0.0), "0");
  EXPECT_EQ(short_number(0.125), "0.125");
  EXPECT_EQ(short_number(12500), "12.5k");
  EXPECT_EQ(short_number(-3e6), "-3M");
  EXPECT_EQ(short_number(2.5e10), "25G");
}

TEST(Chart, NumbersBesideATickShowTheirDistance) {
  EXPECT_EQ(short_number(0.80106, 0.00002), "0.80106");
  EXPECT_EQ(short_number(0.80108, 0.00002), "0.80108");
  EXPECT_EQ(short_number(1000100, 100), "1.0001M");
  EXPECT_EQ(short_number(20000, 5000), "20k");
  EXPECT_EQ(short_number(0, 0.5), "0");
}

// The picture is 640 wide; the axes reach from x = 66 to 624, and from y = 254 up to 12.
TEST(Chart, PointsLieWhereTheAxesSay) {
  const std::string html =
      html_of({.title = "t", .value = "v", .lines = {{"a", {{0, 0}, {50, 10}, {100, 5}}, {50}}}});
  EXPECT_NE(html.find("d=\"M66.0,254.0L345.0,12.0L624.0,133.0\""), std::string::npos) << html;
  EXPECT_EQ(count(html, "class=\"c0 mark\" cx=\"345.0\" cy=\"12.0\""), 1u) << html;
  EXPECT_EQ(count(html, "class=\"c0 dot\""), 2u) << html;
  EXPECT_EQ(count(html, "<title>a, step 100: 5</title>"), 1u) << html;
}

TEST(Chart, OfCountsThatAreZeroBeginsAtZero) {
  const std::string html =
      html_of({.title = "t", .value = "v", .lines = {{"a", {{0, 0}, {10, 0}}}}, .from_zero = true});
  EXPECT_NE(html.find("d=\"M66.0,254.0L624.0,254.0\""), std::string::npos) << html;
}

TEST(Chart, AnUndefinedValueIsAGap) {
  const double nan = std::nan("");
  const std::string html =
      html_of({.title = "t", .value = "v", .lines = {{"a", {{0, 0}, {5, nan}, {10, 10}}}}});
  EXPECT_NE(html.find("d=\"M66.0,254.0M624.0,12.0\""), std::string::npos) << html;
  const std::string none = html_of({.title = "t", .value = "v", .lines = {{"a", {{0, nan}}}}});
  EXPECT_NE(none.find("No value is defined."), std::string::npos) << none;
  EXPECT_EQ(count(none, "<svg"), 0u) << none;
}

TEST(Chart, ValuesWithoutAPlaceBreakNothing) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::string html = html_of(
      {.title = "t", .value = "v", .lines = {{"a", {{1, -inf}, {2, 1.7e308}, {3, 4}, {4, inf}}}}});
  EXPECT_EQ(count(html, "nan"), 0u) << html;
  EXPECT_EQ(count(html, "inf"), 0u) << html;
  EXPECT_EQ(count(html, "<circle"), 1u) << html;
}

TEST(Chart, StackedAreasStandOnOneAnotherAlsoWhereAStepIsMissing) {
  const std::string html = html_of({.title = "t",
                                    .value = "v",
                                    .lines = {{"a", {{0, 50}, {10, 50}}}, {"b", {{10, 50}}}},
                                    .stacked = true});
  EXPECT_NE(html.find("class=\"area c0\" d=\"M66.0,133.0L624.0,133.0L624.0,254.0L66.0,254.0Z\""),
            std::string::npos)
      << html;
  EXPECT_NE(html.find("class=\"area c1\" d=\"M66.0,133.0L624.0,12.0L624.0,133.0L66.0,133.0Z\""),
            std::string::npos)
      << html;
}

TEST(Chart, OfManyPointsKeepsTheLeastAndGreatest) {
  Curve curve;
  for (std::int64_t step = 0; step <= 100'000; ++step) {
    curve.push_back({step, step == 33'333 ? 100.0 : step == 77'777 ? -100.0 : 0.0});
  }
  const std::string html = html_of({.title = "t", .value = "v", .lines = {{"a", curve}}});
  EXPECT_LT(html.size(), 40'000u);
  EXPECT_EQ(count(html, ",12.0"), 1u);   // 100 is the upper end of the axis
  EXPECT_EQ(count(html, ",254.0"), 1u);  // and -100 the lower end
  EXPECT_NE(html.find("the least and greatest are shown"), std::string::npos);
}

}  // namespace
}  // namespace keyshard
