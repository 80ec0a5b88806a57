// A configuration as it is read: the keys that were given, with their places, and all others with
// their defaults.
#pragma once

#include <string>

#include "launch/training/job_config.hpp"

namespace keyshard {

/// TOML that reads as the same configuration: given keys end with a comment that names their
/// place, and the others stand behind a #.
std::string effective_config(const JobConfig& config);

}  // namespace keyshard
