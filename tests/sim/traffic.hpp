// What kernels read and write of the memory of the device, in the mode hooks, which sees each
// access.
#pragma once

#include <cstdint>

namespace keyshard::sim {

/// Bytes of the sectors of 32 bytes that kernels have touched since traffic was last reset; a
/// kernel that touches a sector several times counts once. So this is what a device moves that
/// keeps, for the time of a kernel, all that the kernel touches. Copies and the algorithms of CUB
/// are not counted.
struct Traffic {
  std::int64_t read = 0;
  std::int64_t written = 0;
};

Traffic traffic();
void reset_traffic();

}  // namespace keyshard::sim
