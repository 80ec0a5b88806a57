// The type in which a table keeps the values of its rows. Whatever holds values while they are
// worked on is made of floats: values of 32 and 16 bits are a float each, others lie bit for bit in
// as many floats as they take. Optimizer states, sums and messages with sums are floats, or doubles
// where the values are doubles. Integers are only looked up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/short_floats.hpp"

namespace keyshard {

enum class ValueDtype : std::uint8_t { float32, float16, bfloat16, float64, int8, int32, int64 };

/// The names in files, in the order of the enumeration.
const std::vector<std::string>& names_of(ValueDtype);

/// Whether values are floats of 16 bits.
KEYSHARD_HD constexpr bool is_short(ValueDtype dtype) {
  return dtype == ValueDtype::float16 || dtype == ValueDtype::bfloat16;
}

/// Whether values are integers.
KEYSHARD_HD constexpr bool is_integer(ValueDtype dtype) { return dtype >= ValueDtype::int8; }

/// Whether values are worked on as floats: all that a device keeps, and those of 32 and 16 bits.
KEYSHARD_HD constexpr bool works_as_float(ValueDtype dtype) {
  return !kHostCode || dtype < ValueDtype::float64;
}

/// The type of the optimizer states beside such values.
KEYSHARD_HD constexpr ValueDtype state_dtype(ValueDtype dtype) {
  return dtype == ValueDtype::float64 ? ValueDtype::float64 : ValueDtype::float32;
}

/// Bytes of one value.
KEYSHARD_HD constexpr std::int64_t value_bytes(ValueDtype dtype) {
  return dtype == ValueDtype::float64 || dtype == ValueDtype::int64   ? 8
         : dtype == ValueDtype::float32 || dtype == ValueDtype::int32 ? 4
         : dtype == ValueDtype::int8                                  ? 1
                                                                      : 2;
}

/// The floats that n values take while they are worked on, and in a lookup.
KEYSHARD_HD constexpr std::int64_t floats_of(ValueDtype dtype, std::int64_t n) {
  constexpr auto kFloat = static_cast<std::int64_t>(sizeof(float));
  return works_as_float(dtype) ? n : (n * value_bytes(dtype) + kFloat - 1) / kFloat;
}

/// The numbers that lie at `floats`.
template <class T>
KEYSHARD_HD T* numbers_at(float* floats) {
  return reinterpret_cast<T*>(floats);
}

template <class T>
KEYSHARD_HD const T* numbers_at(const float* floats) {
  return reinterpret_cast<const T*>(floats);
}

/// How many numbers of type T have room in so many floats.
template <class T>
KEYSHARD_HD std::int64_t numbers_in(std::int64_t floats) {
  return floats * static_cast<std::int64_t>(sizeof(float)) / static_cast<std::int64_t>(sizeof(T));
}

/// Calls body(f) with the float of 16 bits, Float16 or Bfloat16, that `dtype` is.
template <class Body>
KEYSHARD_HD void with_short_float(ValueDtype dtype, const Body& body) {
  return dtype == ValueDtype::float16 ? body(Float16{}) : body(Bfloat16{});
}

/// Calls body(number) with a number of the type in which values are worked on.
template <class Body>
KEYSHARD_HD void with_number(ValueDtype dtype, const Body& body) {
  switch (dtype) {
    case ValueDtype::float64:
      return body(double{});
    case ValueDtype::int8:
      return body(std::int8_t{});
    case ValueDtype::int32:
      return body(std::int32_t{});
    case ValueDtype::int64:
      return body(std::int64_t{});
    default:
      return body(float{});
  }
}

/// The value that a table of floats of 32 or 16 bits keeps for `value`; for other types `value`.
KEYSHARD_HD inline float rounded_value(ValueDtype dtype, float value) {
  return !is_short(dtype)               ? value
         : dtype == ValueDtype::float16 ? Float16::widen(Float16::narrow(value))
                                        : Bfloat16::widen(Bfloat16::narrow(value));
}

}  // namespace keyshard
