// The bytes that any program must read and write in the sparse part of a step, as FLOORS.md counts
// them: a copy of as many bytes is the limit of a step on a device.
#pragma once

#include <cstdint>

namespace keyshard {

/// A step whose bags have one id each.
struct StepShape {
  std::int64_t ids = 0;
  std::int64_t distinct = 0;
  std::int64_t dim = 0;
  std::int64_t states = 0;  ///< floats of a row beside its values
};

/// Reads each id; writes the distinct keys, which of them each id is, and where the ids of each key
/// lie.
inline std::int64_t least_dedup_bytes(const StepShape& s) { return 16 * s.ids + 12 * s.distinct; }

/// Also reads a line of 64 bytes and a row for each distinct key, and writes a row for each id.
inline std::int64_t least_lookup_bytes(const StepShape& s) {
  return least_dedup_bytes(s) + (64 + 4 * s.dim) * s.distinct + 4 * s.dim * s.ids;
}

/// Also reads a gradient for each id, and reads and writes the row of each distinct key with its
/// states.
inline std::int64_t least_train_bytes(const StepShape& s) {
  return least_lookup_bytes(s) + 4 * s.dim * s.ids + 8 * (s.dim + s.states) * s.distinct;
}

}  // namespace keyshard
