// A job's configuration file: TOML, and the assignments of the command line on top of it.
#pragma once

#include <string>
#include <vector>

#include "launch/training/job_config.hpp"

namespace keyshard {

/// Reads a file and the assignments of the command line. Throws Error{invalid_argument} whose text
/// has a line per problem.
JobConfig read_job_config(const std::string& path, const std::vector<std::string>& assignments);

}  // namespace keyshard
