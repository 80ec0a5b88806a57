#include "launch/training/rate_schedule.hpp"

#include <algorithm>

#include "launch/training/job_keys.hpp"
#include "runtime/portable_math.hpp"

namespace keyshard {
namespace {

/// cos(pi x) for x from 0 to 1, by the Taylor series of a sine of at most pi / 2.
double cosine_of_turn(double x) {
  const double half = 1.5707963267948966 * x;  // cos(2 h) = 1 - 2 sin(h)^2
  double series = 1;
  for (int n = 23; n >= 3; n -= 2) {
    series = 1 - half * half / (n * (n - 1)) * series;
  }
  const double sine = half * series;
  return 1 - 2 * sine * sine;
}

double power(double base, double exponent) {
  return exponent == 0 ? 1
         : base > 0    ? portable_exp(std::max(exponent * portable_log(base), -700.0))
                       : 0;
}

}  // namespace

const std::vector<std::string>& names_of(RateCurve) {
  static const std::vector<std::string> names{"constant", "step", "exponential", "cosine"};
  return names;
}

double RateSchedule::scale(std::int64_t step, std::int64_t job_steps) const {
  if (step < warmup_steps) {
    return static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  }
  const std::int64_t since = step - warmup_steps;
  const auto length = static_cast<double>(every_steps);
  switch (curve) {
    case RateCurve::step: {
      const std::int64_t falls = since / every_steps;
      return std::max(least, power(factor, static_cast<double>(falls)));
    }
    case RateCurve::exponential:
      return std::max(least, power(factor, static_cast<double>(since) / length));
    case RateCurve::cosine: {
      const std::int64_t whole = (steps > 0 ? steps : job_steps) - warmup_steps;
      const double part = whole > 0 ? static_cast<double>(since) / static_cast<double>(whole) : 1;
      return least + (1 - least) * (1 + cosine_of_turn(std::min(part, 1.0))) / 2;
    }
    case RateCurve::constant:
      break;
  }
  return 1;
}

RateSchedule read_rate_schedule(Settings settings) {
  settings.describe(schedule_keys());
  RateSchedule rates;
  rates.curve = settings.option("type", rates.curve, names_of(RateCurve{}));
  rates.warmup_steps = settings.integer("warmup_steps", 0, 0);
  if (rates.curve == RateCurve::step || rates.curve == RateCurve::exponential) {
    rates.factor = settings.number("factor", rates.factor, 0, 1);
    rates.every_steps = settings.integer("every_steps", rates.every_steps, 1);
  }
  if (rates.curve == RateCurve::cosine) {
    rates.steps = settings.integer("steps", 0, 0);
  }
  if (rates.curve != RateCurve::constant) {
    rates.least = settings.number("least", 0, 0, 1);
  }
  settings.finish();
  return rates;
}

}  // namespace keyshard
