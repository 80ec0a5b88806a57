#include "launch/report/chart.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "launch/report/html_text.hpp"

namespace keyshard {
namespace {

constexpr double kWidth = 640, kHeight = 300;
constexpr double kLeft = 66, kRight = 624, kTop = 12, kBottom = 254;
constexpr std::int64_t kMostBuckets = 500;
constexpr std::int64_t kMostDots = 60;

struct Scale {
  double low, high;   // values
  double begin, end;  // where they lie in the picture

  double at(double value) const { return begin + (value - low) / (high - low) * (end - begin); }
};

/// Whether a value has a place in a picture: scales of larger ones would overflow.
bool drawable(double value) { return std::abs(value) <= 1e300; }

/// Gives all lines the same steps; a line has 0 where it had no point.
void align(std::vector<ChartLine>& lines) {
  std::map<std::int64_t, double> none;
  for (const ChartLine& line : lines) {
    for (const CurvePoint& point : line.curve) {
      none.emplace(point.step, 0);
    }
  }
  for (ChartLine& line : lines) {
    std::map<std::int64_t, double> values = none;
    for (const CurvePoint& point : line.curve) {
      values[point.step] = drawable(point.value) ? point.value : 0;
    }
    line.curve.clear();
    for (const auto& [step, value] : values) {
      line.curve.push_back({step, value});
    }
  }
}

/// The points of a bucket: its least and greatest value in their order, or its mean.
void add_bucket(const CurvePoint* begin, const CurvePoint* end, bool mean, Curve& out) {
  if (mean) {
    double sum = 0;
    for (const CurvePoint* point = begin; point != end; ++point) {
      sum += point->value;
    }
    out.push_back({(end - 1)->step, sum / static_cast<double>(end - begin)});
    return;
  }
  const CurvePoint *least = begin, *most = begin;
  for (const CurvePoint* point = begin; point != end; ++point) {
    if (!drawable(point->value)) {
      out.push_back(*point);  // a gap stays one
      return;
    }
    least = point->value < least->value ? point : least;
    most = point->value > most->value ? point : most;
  }
  out.push_back(*std::min(least, most));
  if (least != most) {
    out.push_back(*std::max(least, most));
  }
}

Curve reduced(const Curve& curve, bool mean) {
  const std::int64_t size = std::ssize(curve);
  if (size <= 2 * kMostBuckets) {
    return curve;
  }
  Curve out;
  for (std::int64_t bucket = 0; bucket < kMostBuckets; ++bucket) {
    add_bucket(curve.data() + bucket * size / kMostBuckets,
               curve.data() + (bucket + 1) * size / kMostBuckets, mean, out);
  }
  return out;
}

/// Each curve on top of those before it; all have the same steps.
void stack(std::vector<ChartLine>& lines) {
  for (std::size_t l = 1; l < lines.size(); ++l) {
    for (std::size_t p = 0; p < lines[l].curve.size(); ++p) {
      lines[l].curve[p].value += lines[l - 1].curve[p].value;
    }
  }
}

std::string colour_of(std::size_t line) {
  return fmt::format("c{}", line % static_cast<std::size_t>(kChartColours));
}

std::string point_text(const Scale& x, const Scale& y, const CurvePoint& point) {
  return fmt::format("{:.1f},{:.1f}", x.at(static_cast<double>(point.step)), y.at(point.value));
}

std::string axes(const Chart& chart, const Scale& x, const Scale& y, const std::vector<double>& xs,
                 const std::vector<double>& ys) {
  std::string out;
  for (const double value : ys) {
    out += fmt::format(
        "<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>\n",
        kLeft, y.at(value), kRight, kLeft - 6, y.at(value) + 4, short_number(value, ys[1] - ys[0]));
  }
  for (const double value : xs) {
    if (value >= x.low && value <= x.high && value == std::floor(value)) {
      out += fmt::format(
          "<path class=\"grid\" d=\"M{:.1f} {}v5\"/><text x=\"{:.1f}\" y=\"{}\" "
          "text-anchor=\"middle\">{}</text>\n",
          x.at(value), kBottom, x.at(value), kBottom + 18, short_number(value, xs[1] - xs[0]));
    }
  }
  out += fmt::format(
      "<path class=\"axis\" d=\"M{0} {1}V{2}H{3}\"/><text x=\"{4}\" y=\"{5}\" "
      "text-anchor=\"middle\">step</text>\n",
      kLeft, kTop, kBottom, kRight, (kLeft + kRight) / 2, kHeight - 8);
  return out + fmt::format(
                   "<text x=\"14\" y=\"{0}\" text-anchor=\"middle\" transform=\"rotate(-90 14 "
                   "{0})\">{1}</text>\n",
                   (kTop + kBottom) / 2, html_text(chart.value));
}

/// The line of a curve, broken where the value is undefined, and its dots where they are few.
std::string drawn(const ChartLine& line, const std::string& colour, const Scale& x,
                  const Scale& y) {
  std::string path, dots;
  bool pen_down = false;
  for (const CurvePoint& point : line.curve) {
    if (drawable(point.value)) {
      path += (pen_down ? "L" : "M") + point_text(x, y, point);
    }
    pen_down = drawable(point.value);
    const bool marked =
        std::find(line.marked.begin(), line.marked.end(), point.step) != line.marked.end();
    if (pen_down && (marked || std::ssize(line.curve) <= kMostDots)) {
      dots += fmt::format(
          "<circle class=\"{}{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}, step {}: "
          "{:.6g}</title></circle>\n",
          colour, marked ? " mark" : " dot", x.at(static_cast<double>(point.step)),
          y.at(point.value), marked ? 5 : 2.5, html_text(line.name), point.step, point.value);
    }
  }
  return fmt::format("<path class=\"line {}\" d=\"{}\"/>\n{}", colour, path, dots);
}

/// The area between a stacked curve and the one below it.
std::string filled(const ChartLine& line, const ChartLine* below, const std::string& colour,
                   const Scale& x, const Scale& y) {
  std::string outline;
  for (const CurvePoint& point : line.curve) {
    outline += (outline.empty() ? "M" : "L") + point_text(x, y, point);
  }
  for (std::size_t p = line.curve.size(); p-- > 0;) {
    const double value = below == nullptr ? 0 : below->curve[p].value;
    outline += "L" + point_text(x, y, {line.curve[p].step, value});
  }
  return fmt::format("<path class=\"area {}\" d=\"{}Z\"><title>{}</title></path>\n", colour,
                     outline, html_text(line.name));
}

std::string legend(const Chart& chart) {
  std::string out = "<p class=\"legend\">";
  for (std::size_t l = 0; l < chart.lines.size(); ++l) {
    out += fmt::format("<span><i class=\"{}\"></i>{}</span> ", colour_of(l),
                       html_text(chart.lines[l].name));
  }
  return out + "</p>\n";
}

/// The greatest power of ten that is at most `value`, which is above 0.
double power_of_ten(double value) {
  double power = 1;
  while (power > value) {
    power /= 10;
  }
  while (power * 10 <= value) {
    power *= 10;
  }
  return power;
}

/// The steps and the values of all curves.
struct Bounds {
  double first = std::numeric_limits<double>::infinity(), last = -first;
  double least = first, most = -first;

  explicit Bounds(const std::vector<ChartLine>& lines) {
    for (const ChartLine& line : lines) {
      for (const CurvePoint& point : line.curve) {
        first = std::min(first, static_cast<double>(point.step));
        last = std::max(last, static_cast<double>(point.step));
        if (drawable(point.value)) {
          least = std::min(least, point.value);
          most = std::max(most, point.value);
        }
      }
    }
  }
};

std::string picture(const Chart& chart, const std::vector<ChartLine>& lines, const Bounds& bounds) {
  const bool zero = chart.from_zero || chart.stacked;
  const std::vector<double> ys =
      zero ? axis_ticks(std::min(0.0, bounds.least), bounds.most == 0 ? 1 : bounds.most, 5)
           : axis_ticks(bounds.least, bounds.most, 5);
  const std::vector<double> xs = axis_ticks(bounds.first, bounds.last, 6);
  const double room = bounds.last > bounds.first ? 0 : 1;  // a single step lies in the middle
  const Scale x{bounds.first - room, bounds.last + room, kLeft, kRight};
  const Scale y{ys.front(), ys.back(), kBottom, kTop};
  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                                kWidth, kHeight, html_text(chart.title));
  out += axes(chart, x, y, xs, ys);
  for (std::size_t l = 0; l < lines.size(); ++l) {
    out += chart.stacked ? filled(lines[l], l == 0 ? nullptr : &lines[l - 1], colour_of(l), x, y)
                         : drawn(lines[l], colour_of(l), x, y);
  }
  return out + "</svg>\n";
}

}  // namespace

std::vector<double> axis_ticks(double least, double most, std::int64_t count) {
  const double size = std::max(std::abs(least), std::abs(most));
  if (!(most - least > size * 1e-9) || size < 1e-300) {  // too near for ticks between them
    const double room = size < 1e-300 ? 1 : size / 10;
    least -= room;
    most += room;
  }
  const double rough = (most - least) / static_cast<double>(count);
  const double power = power_of_ten(rough);
  const double digit = rough / power - 1e-9;
  const double unit = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  std::vector<double> ticks;
  const double begin = std::floor(least / unit + 1e-9), end = std::ceil(most / unit - 1e-9);
  for (double number = begin; number <= end; ++number) {
    ticks.push_back(number * unit);
  }
  return ticks;
}

std::string short_number(double value, double unit) {
  const double size = std::abs(value);
  const int digits = unit > 0 && size > unit
                         ? std::clamp(static_cast<int>(std::log10(size / unit)) + 2, 4, 17)
                         : 4;
  return size >= 1e9   ? fmt::format("{:.{}g}G", value / 1e9, digits)
         : size >= 1e6 ? fmt::format("{:.{}g}M", value / 1e6, digits)
         : size >= 1e4 ? fmt::format("{:.{}g}k", value / 1e3, digits)
                       : fmt::format("{:.{}g}", value == 0 ? 0.0 : value, digits);
}

std::string html_of(const Chart& chart) {
  std::vector<ChartLine> lines = chart.lines;
  if (chart.stacked) {
    align(lines);
  }
  bool fewer = false;
  for (ChartLine& line : lines) {
    const std::size_t before = line.curve.size();
    line.curve = reduced(line.curve, chart.stacked);
    fewer = fewer || line.curve.size() < before;
  }
  if (chart.stacked) {
    stack(lines);
  }
  std::string out = fmt::format("<figure><figcaption>{}</figcaption>\n", html_text(chart.title));
  const Bounds bounds(lines);
  out += bounds.least <= bounds.most ? picture(chart, lines, bounds) + legend(chart)
                                     : "<p>No value is defined.</p>\n";
  if (fewer) {
    out += fmt::format("<p class=\"hint\">Of neighbouring reports, {}.</p>\n",
                       chart.stacked ? "the mean is shown" : "the least and greatest are shown");
  }
  return out + "</figure>\n";
}

}  // namespace keyshard
