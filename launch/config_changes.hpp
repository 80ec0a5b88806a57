// Which keys of a configuration may change where a checkpoint is used. A resumed job must give the
// result of a job that never stopped. So keys that decide where and how long a job
// runs and how it is watched are free; keys that steer the training may change, and the user sees a
// warning; all other keys must have the value that was saved.
#pragma once

#include <string>
#include <vector>

#include "runtime/settings.hpp"

namespace keyshard {

/// free: the training up to any step does not depend on the key, or what the key names is compared
/// in another way, as data are by their digest. steers: a user may want to change the value during
/// a training, as a learning rate; the result then belongs to neither configuration. fixed: all
/// other keys: those of the model and the data, and whatever decides the order of samples or the
/// content of a checkpoint.
enum class KeyChange { free, steers, fixed };

/// What a checkpoint is used for. resume: the job goes on. start: another training starts from its
/// rows, weights and optimizers, with data and schedule of its own. score: records are scored. For
/// start and score only those keys are fixed that shape keys, dense values, scores, or the states
/// of optimizers.
enum class CheckpointUse { resume, start, score };

/// How a key may change, by its full path, as "job.steps" or "tables.C1.exchange".
KeyChange change_of(const std::string& path, CheckpointUse use = CheckpointUse::resume);

/// The keys that may change at a resume, free or steering: paths, and patterns like "checkpoint.*".
std::vector<std::string> changeable_keys();

/// A line per key that differs, sorted by key, with both values.
struct ConfigChanges {
  std::vector<std::string> refused;  ///< fixed keys
  std::vector<std::string> told;     ///< keys that steer, for a warning
};

/// Compares a saved configuration with the one to go on with. A key that [tables.NAME] leaves out
/// has the value of [embedding].
ConfigChanges config_changes(const ResolvedSettings& saved, const ResolvedSettings& now,
                             CheckpointUse use = CheckpointUse::resume);

}  // namespace keyshard
