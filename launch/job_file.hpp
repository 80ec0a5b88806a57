// A job's configuration file: TOML, and the assignments of the command line on top of it.
#pragma once

#include <string>
#include <vector>

#include "launch/training/job_config.hpp"

namespace keyshard {

/// Reads a file, once, and the assignments of the command line; `rules` are those of the program.
/// Relative paths are taken from the folder of the file; those of a file that lies nowhere, as a
/// pipe or /dev/stdin, from where the program runs. Throws Error{invalid_argument} whose text has a
/// line per problem.
JobConfig read_job_config(const std::string& path, const std::vector<std::string>& assignments,
                          const OwnRules& rules = no_own_rules());

/// The same with a tree in place of a file; its relative paths are taken from `folder`.
JobConfig read_job_config(SettingValue tree, const std::string& folder,
                          const std::vector<std::string>& assignments,
                          const OwnRules& rules = no_own_rules());

}  // namespace keyshard
