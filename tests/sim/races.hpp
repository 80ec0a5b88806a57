// The modes in which a test of the simulated device is built, and what ThreadSanitizer has found.
#pragma once

namespace keyshard::sim {

#ifdef KEYSHARD_SIM_MODE_hooks
inline constexpr bool kHooks = true;
#else
inline constexpr bool kHooks = false;
#endif
#ifdef KEYSHARD_SIM_MODE_tsan
inline constexpr bool kTsan = true;
#else
inline constexpr bool kTsan = false;
#endif

/// Races that ThreadSanitizer has reported so far; 0 in other modes.
int races();

}  // namespace keyshard::sim
