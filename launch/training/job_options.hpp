// How a job runs: [job] and [checkpoint] of a configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/training/metrics_options.hpp"
#include "launch/training/rate_schedule.hpp"
#include "launch/training/validation_metric.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

struct JobOptions {
  std::string output = "out";  ///< folder of metrics, checkpoints and indices
  std::uint64_t seed = 1;
  std::int64_t epochs = 1;
  std::int64_t steps = 0;           ///< total; 0: as many as the epochs have
  std::int64_t batch_size = 4096;   ///< of the global batch
  std::int64_t slices = 16;         ///< V: a power of two that divides batch_size
  std::int64_t threads = 0;         ///< of a rank; 0: as many as it has cores
  std::int64_t overlap = 0;         ///< batches whose ids travel during the step before: 0 or 1
  std::string numerics = "native";  ///< or "avx2": pins the code path of dense products
  std::int64_t evaluate_every_steps = 0;
  std::int64_t evaluate_every_epochs = 1;  ///< and after the last step; 0: never
  RateSchedule schedule;
  std::int64_t patience = 0;  ///< evaluations without a better metric before stopping; 0: never
  double decay = 1;           ///< factor of the learning rates when the metric does not improve
  std::int64_t decay_patience = 1;  ///< evaluations without a better metric before decaying
  double least_decay = 0;           ///< lower bound of the product of all factors
  ValidationMetric metric = ValidationMetric::auc;
  /// Features: evaluation also shows the metrics of the samples whose ids of these features, taken
  /// together, are in no positive sample of training.
  std::vector<std::string> unseen;
  MetricsOptions metrics;
  bool drop_last = false;
  std::int64_t report_every_steps = 20;
  double report_every_seconds = 0;  ///< from one shown step to the next; 0: launch/reporter.hpp
  bool tensorboard = false;         ///< event files beside metrics.jsonl
  double watchdog_seconds = 60;
  double start_seconds = 120;  ///< within which all ranks must have met; 0: never
};

struct CheckpointOptions {
  std::int64_t every_steps = 0;  ///< 0: at the end only, if `at_end`
  bool at_end = true;
  bool best = false;  ///< after every evaluation that is the best so far; by default with patience
  double best_every_seconds = 10;  ///< from the write of a best step to that of the next
  std::int64_t keep = 2;
  bool stop_on_failure = true;  ///< on_failure = "stop" or "continue"
};

/// Reads [job]. `features` are those of the data; `usual` is the metric where none is given.
JobOptions read_job_options(Settings settings, const FeatureNames& features,
                            ValidationMetric usual = ValidationMetric::auc);
/// Reads [checkpoint] of such a job.
CheckpointOptions read_checkpoint_options(Settings settings, const JobOptions& job);

}  // namespace keyshard
