// The type in which a table keeps the values of its rows. Optimizer states, sums and messages with
// sums are floats whatever the type.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/short_floats.hpp"

namespace keyshard {

enum class ValueDtype : std::uint8_t { float32, float16, bfloat16 };

/// The names in files, in the order of the enumeration.
const std::vector<std::string>& names_of(ValueDtype);

/// Bytes of one value.
KEYSHARD_HD constexpr std::int64_t value_bytes(ValueDtype dtype) {
  return dtype == ValueDtype::float32 ? 4 : 2;
}

/// Calls body(f) with the float of 16 bits, Float16 or Bfloat16, that `dtype` is.
template <class Body>
KEYSHARD_HD void with_short_float(ValueDtype dtype, const Body& body) {
  return dtype == ValueDtype::float16 ? body(Float16{}) : body(Bfloat16{});
}

/// The value that a table of this type keeps for `value`.
KEYSHARD_HD inline float rounded_value(ValueDtype dtype, float value) {
  return dtype == ValueDtype::float32   ? value
         : dtype == ValueDtype::float16 ? Float16::widen(Float16::narrow(value))
                                        : Bfloat16::widen(Bfloat16::narrow(value));
}

}  // namespace keyshard
