// What a dense column makes of the numbers in its cells.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include "io/data_options.hpp"
#include "runtime/portable.hpp"

namespace keyshard {

/// sign(x) log(1 + |x|) as a float.
float signed_log(double x);

/// signed_log of 0, 1, 2, ...: most cells of such columns are counts, and few of them are large.
inline constexpr std::size_t kCountLogs = 1024;
const std::array<float, kCountLogs>& count_logs();

/// The float that a dense column makes of a number.
KEYSHARD_INLINE float transformed(double number, const ColumnOptions& column) {
  if (column.transform == DenseTransform::log) {
    if (!std::signbit(number) && number < static_cast<double>(kCountLogs)) {
      const auto count = static_cast<std::size_t>(number);
      return static_cast<double>(count) == number ? count_logs()[count] : signed_log(number);
    }
    return signed_log(number);
  }
  return static_cast<float>(column.transform == DenseTransform::standard
                                ? (number - column.mean) / column.stddev
                                : number);
}

}  // namespace keyshard
