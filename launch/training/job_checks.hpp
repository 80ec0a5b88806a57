// What cannot work in a training, or has no effect there, although each key of the configuration is
// right by itself. Only a training asks: the same configuration may serve another command.
#pragma once

#include <string>
#include <vector>

#include "launch/training/job_config.hpp"

namespace keyshard {

/// Throws Error{invalid_argument} with a line per key that cannot work: a metric that the loss does
/// not have, a schedule or an evaluation without data to evaluate, batch norm where a slice of a
/// full batch has fewer samples than statistics need.
void refuse_unworkable(const JobConfig& config);

/// A line per key or table that was given and has no effect in this job.
std::vector<std::string> without_effect(const JobConfig& config);

/// A line per split that has a file more than once, and one where validation data have a file of
/// the training data: a pattern that catches more than it should.
std::vector<std::string> repeated_files(const JobConfig& config);

/// Whether the job has data to evaluate.
bool has_validation_data(const JobConfig& config);

}  // namespace keyshard
