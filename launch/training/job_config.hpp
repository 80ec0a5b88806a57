// The whole configuration of a job, read at once, so that a user sees all problems together.
#pragma once

#include <string>
#include <vector>

#include "embedding/layers/options.hpp"
#include "io/data_options.hpp"
#include "launch/training/job_options.hpp"
#include "launch/training/models/model_options.hpp"
#include "launch/training/pretrained.hpp"
#include "launch/training/trainer_options.hpp"
#include "runtime/digest.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

struct JobConfig {
  ResolvedSettings values;  ///< of all keys: as given by file, --set and options, or the default
  SettingValue tree;        ///< as it was given
  std::string folder;       ///< from which relative paths of the tree are taken
  JobOptions job;
  DataOptions data;
  ModelOptions model;
  EmbeddingOptions embedding;
  std::vector<Pretrained> pretrained;  ///< first rows of tables
  CheckpointOptions checkpoint;
};

/// Reads the sections of a configuration from its root, and records problems in the report of
/// `root`: a configuration with problems is of no use.
JobConfig read_sections(Settings& root, const std::string& folder,
                        const OwnRules& rules = no_own_rules());

/// Reads a configuration from its tree; paths in it, that of job.output too, are relative to
/// `folder`. Names of rules may be those of `rules`, which the program has registered. Throws
/// Error{invalid_argument} whose text has a line per problem.
JobConfig job_config_of(const SettingValue& tree, const std::string& folder,
                        const OwnRules& rules = no_own_rules());

/// The trainer of a configuration.
TrainerOptions trainer_options(const JobConfig& config);

/// How a split of the configured data is read.
ReadPlan read_plan(const JobConfig& config, bool training);

/// A line per key, sorted: what ranks compare at the start.
std::string config_text(const ResolvedSettings& values);

}  // namespace keyshard
