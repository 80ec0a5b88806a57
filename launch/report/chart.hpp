// A picture of curves over the steps of a training, as SVG that stands inside an HTML page. Colours
// are classes c0 to c9 of the page (report_page.cpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/report/run_history.hpp"

namespace keyshard {

inline constexpr std::int64_t kChartColours = 10;

struct ChartLine {
  std::string name;
  Curve curve;
  std::vector<std::int64_t> marked = {};  ///< steps with a ring around their points
};

struct Chart {
  std::string title;
  std::string value;  ///< what the vertical axis shows, with its unit
  std::vector<ChartLine> lines;
  bool stacked = false;    ///< areas on top of one another; all lines have the same steps
  bool from_zero = false;  ///< the vertical axis begins at 0
};

/// The chart with its title, axes and legend. Where a curve has many points, the picture shows the
/// least and the greatest of neighbouring ones, or where they are stacked their mean, and says so.
std::string html_of(const Chart& chart);

/// Round numbers from below `least` to above `most`, for an axis; at most `count` + 2. Two at least
/// also where both are the same.
std::vector<double> axis_ticks(double least, double most, std::int64_t count);

/// A number beside an axis or in a table: "12.5k", "3M", with as many digits as tell it from a
/// number `unit` away.
std::string short_number(double value, double unit = 0);

}  // namespace keyshard
