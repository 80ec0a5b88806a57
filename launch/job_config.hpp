// The whole configuration of a job, read at once, so that a user sees all of its problems together.
#pragma once

#include <string>
#include <vector>

#include "embedding/options.hpp"
#include "io/data_options.hpp"
#include "launch/job_options.hpp"
#include "launch/models/model_options.hpp"
#include "runtime/digest.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

struct JobConfig {
  ResolvedSettings values;  ///< of all keys: as given by file, --set and options, or the default
  JobOptions job;
  DataOptions data;
  ModelOptions model;
  EmbeddingOptions embedding;
  CheckpointOptions checkpoint;
};

/// Reads a file and the assignments of the command line. Throws Error{invalid_argument} whose text
/// has a line per problem.
JobConfig read_job_config(const std::string& path, const std::vector<std::string>& assignments);

/// The same from a tree; paths are relative to `folder`.
JobConfig job_config_of(const SettingValue& tree, const std::string& folder);

/// How a split of the configured data is read.
ReadPlan read_plan(const JobConfig& config, bool training);

/// A line per key, sorted: what ranks compare at the start.
std::string config_text(const ResolvedSettings& values);

}  // namespace keyshard
