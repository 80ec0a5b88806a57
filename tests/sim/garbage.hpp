// What fresh memory of the device holds: a word that is NaN as float and double and in every second
// 16-bit float, and no plausible index.
#pragma once

#include <cstddef>

namespace keyshard::sim {

inline unsigned char garbage(std::size_t i) {
  return static_cast<unsigned char>(0x7FFADBADu >> (i % 4 * 8));
}

}  // namespace keyshard::sim
