// Numbers in cells. One grammar holds for all columns: an optional sign, then a whole number or a
// decimal one. There are no blanks, no "inf", no "nan" and no grouping of digits.
#pragma once

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "runtime/portable.hpp"

namespace keyshard {

/// Whether a legal number that no double can hold is too small rather than too large.
bool underflows(std::string_view number);

/// The number without a plus, which from_chars does not take. "+-1" stays as it is, and is bad.
KEYSHARD_INLINE std::string_view without_plus(std::string_view number) {
  if (number.size() > 1 && number[0] == '+' && number[1] != '-') {
    number.remove_prefix(1);
  }
  return number;
}

/// A decimal number as the nearest double, by the standard library; 0 with its sign where it is too
/// small for one. Nothing where the cell is no number, or no double can hold it.
inline std::optional<double> parse_number_plainly(std::string_view cell) {
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

/// A number of 1 to 15 digits, with a point among them or none, and no sign or a minus. Such digits
/// and their power of ten are doubles, so one division rounds to the nearest double. Nothing for
/// any other cell.
KEYSHARD_INLINE std::optional<double> parse_short_decimal(std::string_view cell) {
  constexpr std::array<double, 16> kPowers{1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                           1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const bool negative = cell.starts_with('-');
  cell.remove_prefix(negative ? 1 : 0);
  if (cell.empty() || cell.size() > 16) {
    return std::nullopt;
  }
  std::int64_t number = 0;
  std::size_t digits = 0, before_point = cell.size();
  for (const char character : cell) {
    const auto digit = static_cast<unsigned char>(character - '0');
    if (digit <= 9) {
      number = number * 10 + digit;
      ++digits;
    } else if (character == '.' && before_point == cell.size()) {
      before_point = digits;
    } else {
      return std::nullopt;
    }
  }
  if (digits == 0 || digits > 15) {
    return std::nullopt;
  }
  const double whole = static_cast<double>(number);
  const double value = digits > before_point ? whole / kPowers[digits - before_point] : whole;
  return negative ? -value : value;
}

/// The same as parse_number_plainly, sooner.
KEYSHARD_INLINE std::optional<double> parse_number(std::string_view cell) {
  const std::optional<double> number = parse_short_decimal(cell);
  return number ? number : parse_number_plainly(cell);
}

/// A whole number from -2^63 to 2^64 - 1, as 64 bits, digit by digit.
inline std::optional<Key> parse_integer_plainly(std::string_view cell) {
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

/// Reads 8 digits at once: their bytes as one number, in which neighbours are put together, then
/// pairs, then fours. Returns whether all of them are digits. After D. Lemire, "Quickly parsing
/// eight digits", 2018.
KEYSHARD_INLINE bool parse_eight_digits(const char* digits, std::uint64_t& number) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, digits, sizeof bytes);
  // The upper half of a digit's byte is 3, and still so with 6 more.
  constexpr std::uint64_t kUpper = 0xf0f0f0f0f0f0f0f0, kSix = 0x0606060606060606;
  const bool are_digits =
      ((bytes & kUpper) | (((bytes + kSix) & kUpper) >> 4)) == 0x3333333333333333;
  bytes -= 0x3030303030303030;
  bytes = bytes * 10 + (bytes >> 8);
  constexpr std::uint64_t kPairs = 0x000000ff000000ff;
  number = ((bytes & kPairs) * (100 + (std::uint64_t{1000000} << 32)) +
            ((bytes >> 16) & kPairs) * (1 + (std::uint64_t{10000} << 32))) >>
           32;
  return are_digits;
}

/// The number of 1 to 20 digits and nothing else; nothing where it has more than 64 bits.
KEYSHARD_INLINE std::optional<std::uint64_t> parse_digits(std::string_view digits) {
  std::uint64_t number = 0, part = 0;
  for (; digits.size() >= 8; digits.remove_prefix(8)) {
    if (!parse_eight_digits(digits.data(), part)) {
      return std::nullopt;
    }
    number = number * 100000000 + part;
  }
  for (; !digits.empty(); digits.remove_prefix(1)) {
    const auto digit = static_cast<std::uint64_t>(static_cast<unsigned char>(digits[0])) - '0';
    if (digit > 9 || __builtin_mul_overflow(number, std::uint64_t{10}, &number) ||
        __builtin_add_overflow(number, digit, &number)) {
      return std::nullopt;
    }
  }
  return number;
}

/// The same as parse_integer_plainly, sooner.
KEYSHARD_INLINE std::optional<Key> parse_integer(std::string_view cell) {
  const bool negative = cell.starts_with('-');
  const std::string_view digits = cell.substr(negative || cell.starts_with('+') ? 1 : 0);
  if (digits.empty() || digits.size() > 20) {
    return parse_integer_plainly(cell);
  }
  const std::optional<std::uint64_t> number = parse_digits(digits);
  if (!negative || !number) {
    return number;
  }
  constexpr std::uint64_t kLeast = std::uint64_t{1} << 63;
  return *number <= kLeast ? std::optional<Key>(0 - *number) : std::nullopt;
}

}  // namespace keyshard
