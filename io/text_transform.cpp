#include "io/text_transform.hpp"

#include <cmath>

#include "runtime/portable_math.hpp"

namespace keyshard {

float signed_log(double x) {
  return static_cast<float>(std::copysign(portable_log(1.0 + std::fabs(x)), x));
}

const std::array<float, kCountLogs>& count_logs() {
  static const std::array<float, kCountLogs> kLogs = [] {
    std::array<float, kCountLogs> logs{};
    for (std::size_t n = 0; n < kCountLogs; ++n) {
      logs[n] = signed_log(static_cast<double>(n));
    }
    return logs;
  }();
  return kLogs;
}

}  // namespace keyshard
