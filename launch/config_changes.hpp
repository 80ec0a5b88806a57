// What a configuration may change where a job goes on from a checkpoint. A resumed job is the one
// that would never have stopped: what says where, how long and how closely watched it runs is free,
// what steers the training from here on is told, and all else must be as it was saved.
#pragma once

#include <string>
#include <vector>

#include "runtime/settings.hpp"

namespace keyshard {

/// free: no bit depends on it, or what does is compared by itself. steers: a person may turn it on
/// the way, as learning rates; the results are then those of neither configuration. fixed: the
/// model, the data, the order of both and all that lies in a checkpoint.
enum class KeyChange { free, steers, fixed };

/// Of a key by its full path, as "job.steps" or "tables.C1.exchange".
KeyChange change_of(const std::string& path);

/// What may change, as a person reads it: paths, and "checkpoint.*", "*.exchange".
std::vector<std::string> changeable_keys();

/// A line per key that differs, sorted by key, with both values.
struct ConfigChanges {
  std::vector<std::string> refused;  ///< fixed keys
  std::vector<std::string> told;     ///< keys that steer
};

/// Compares a saved configuration with the one to go on with. A key that [tables.NAME] leaves out
/// has the value of [embedding].
ConfigChanges config_changes(const ResolvedSettings& saved, const ResolvedSettings& now);

}  // namespace keyshard
