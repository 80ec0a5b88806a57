#include "embedding/rules/initializers.hpp"

namespace keyshard {

Initializer variance_scaling(double scale, Fan fan, Distribution distribution, std::int64_t dim) {
  const double out = static_cast<double>(dim);
  const double n = fan == Fan::in ? 1.0 : fan == Fan::out ? out : (1.0 + out) / 2.0;
  const double variance = scale / n;
  switch (distribution) {
    case Distribution::uniform: {
      const auto limit = static_cast<float>(portable_sqrt(3.0 * variance));
      return Uniform{-limit, limit};
    }
    case Distribution::truncated_normal:
      // The constant is the standard deviation of a normal cut at two standard deviations.
      return TruncatedNormal{0, static_cast<float>(portable_sqrt(variance) / 0.87962566103423978)};
    case Distribution::normal:
      break;
  }
  return Normal{0, static_cast<float>(portable_sqrt(variance))};
}

}  // namespace keyshard
