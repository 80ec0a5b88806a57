// What a benchmark notes of the machine: its processor, how busy others keep it, and the memory
// that this process holds.
#pragma once

#include <cstdint>
#include <string>

namespace keyshard {

/// "MODEL NAME model NUMBER", as the first processor says.
std::string cpu_model();

/// Bytes of this process in memory now, and the most since the last reset_peak_resident.
std::int64_t resident_bytes();
std::int64_t peak_resident_bytes();
/// Begins a new peak where the system allows it.
void reset_peak_resident();

/// Bytes of memory that this process can still take.
std::int64_t available_bytes();
/// Takes `bytes` of memory from the system (at most half of what is available), touches them and
/// gives them back: then memory that is taken next is at hand, even on a virtual machine whose host
/// takes unused memory back.
void warm_memory(std::int64_t bytes);

/// Measures for `seconds` which share of the machine is in use while this process sleeps, and
/// repeats that until the share is below 0.05, at most `patience` times. Returns the last share.
double wait_until_quiet(double seconds, int patience);

/// Whether malloc was told to use huge pages (GLIBC_TUNABLES).
bool huge_malloc();

}  // namespace keyshard
