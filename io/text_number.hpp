// Numbers in cells. One grammar holds for all columns: an optional sign, then a whole number or a
// decimal one. There are no blanks, no "inf", no "nan" and no grouping of digits.
#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "runtime/portable.hpp"

namespace keyshard {

/// Whether a legal number that no double can hold is too small rather than too large.
bool underflows(std::string_view number);

/// The number without a plus, which from_chars does not take. "+-1" stays as it is, and is bad.
inline std::string_view without_plus(std::string_view number) {
  if (number.size() > 1 && number[0] == '+' && number[1] != '-') {
    number.remove_prefix(1);
  }
  return number;
}

/// A decimal number as the nearest double; 0 with its sign where it is too small for one. Nothing
/// where the cell is no number, or no double can hold it.
inline std::optional<double> parse_number(std::string_view cell) {
  double value = 0;
  cell = without_plus(cell);
  const char* const last = cell.data() + cell.size();
  const auto [end, error] = std::from_chars(cell.data(), last, value);
  if (error == std::errc::result_out_of_range && end == last && underflows(cell)) [[unlikely]] {
    return cell[0] == '-' ? -0.0 : 0.0;
  }
  if (error != std::errc() || end != last || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

/// A whole number from -2^63 to 2^64 - 1, as 64 bits.
inline std::optional<Key> parse_integer(std::string_view cell) {
  std::int64_t number = 0;
  std::uint64_t large = 0;
  cell = without_plus(cell);
  const char* const last = cell.data() + cell.size();
  if (const auto [end, error] = std::from_chars(cell.data(), last, number);
      error == std::errc() && end == last) {
    return static_cast<Key>(number);
  }
  if (const auto [end, error] = std::from_chars(cell.data(), last, large);
      error == std::errc() && end == last) {
    return large;
  }
  return std::nullopt;
}

}  // namespace keyshard
