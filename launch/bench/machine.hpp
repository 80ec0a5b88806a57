// What a benchmark notes of the machine: its processor, how busy others keep it, and the memory
// that this process holds.
#pragma once

#include <cstdint>
#include <string>

namespace keyshard {

/// "MODEL NAME model NUMBER", as the first processor says.
std::string cpu_model();

/// Bytes of this process in memory now, and at most since the last reset_peak.
std::int64_t resident_bytes();
std::int64_t peak_resident_bytes();
/// Begins a new peak where the system allows it.
void reset_peak_resident();

/// Bytes of memory that are free for this process to take.
std::int64_t available_bytes();
/// Takes as much memory from the system, touches it and gives it back: what is taken next is then
/// at hand, also on a virtual machine whose host takes unused memory back. At most half of what is
/// available.
void warm_memory(std::int64_t bytes);

/// Looks for `seconds` at the share of the machine that is in use while this process sleeps, again
/// and again until it is below 0.05 or it has looked `patience` times. Returns the last share.
double wait_until_quiet(double seconds, int patience);

/// Whether malloc was told to use huge pages (GLIBC_TUNABLES).
bool huge_malloc();

}  // namespace keyshard
