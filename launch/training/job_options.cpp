#include "launch/training/job_options.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "launch/training/job_keys.hpp"
#include "runtime/fold.hpp"

namespace keyshard {
namespace {

void check_features(Settings& settings, const std::vector<std::string>& named,
                    const std::vector<std::string>& features) {
  for (const std::string& name : named) {
    if (std::find(features.begin(), features.end(), name) == features.end()) {
      const std::string near = nearest_word(name, features);
      settings.problem(
          "unseen", fmt::format("expected names of columns of ids: found \"{}\"{}", name,
                                near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
    }
  }
}

/// Reads what an evaluation measures, and by which metric a job is steered.
void read_metrics(Settings& settings, const FeatureNames& features, ValidationMetric usual,
                  JobOptions& job) {
  if (settings.text("metric", name_of(usual)) == "calibration") {
    settings.problem(
        "metric",
        "expected a metric that is better the larger or the smaller it is: found "
        "\"calibration\", which a model that always predicts the mean label has at its "
        "best, 1; every evaluation shows it");
  } else {
    job.metric = settings.option("metric", usual, names_of(usual));
  }
  job.unseen = settings.texts("unseen");
  check_features(settings, job.unseen, features.all);
  if (settings.has("metrics")) {  // else no key of the configuration
    job.metrics = read_metrics_options(settings.table("metrics"), features);
  }
  if (job.metric == ValidationMetric::gauc && job.metrics.gauc.empty()) {
    settings.problem("metric",
                     "expected the column of the groups in job.metrics.gauc where the metric is "
                     "\"gauc\": found none");
  }
}

/// Reads when a job evaluates, and what it does with the result.
void read_steering(Settings& settings, JobOptions& job) {
  job.evaluate_every_steps = settings.integer("evaluate_every_steps", job.evaluate_every_steps, 0);
  job.evaluate_every_epochs =
      settings.integer("evaluate_every_epochs", job.evaluate_every_epochs, 0);
  if (settings.has("schedule")) {  // else no key of the configuration
    job.schedule = read_rate_schedule(settings.table("schedule"));
  }
  job.patience = settings.integer("patience", job.patience, 0);
  job.decay = settings.number("decay", job.decay, 0, 1);
  job.decay_patience = settings.integer("decay_patience", job.decay_patience, 1);
  job.least_decay = settings.number("least_decay", job.least_decay, 0, 1);
}

}  // namespace

JobOptions read_job_options(Settings settings, const FeatureNames& features,
                            ValidationMetric usual) {
  settings.describe(job_keys());
  JobOptions job;
  job.output = settings.text("output", job.output);
  job.seed =
      static_cast<std::uint64_t>(settings.integer("seed", static_cast<std::int64_t>(job.seed)));
  job.epochs = settings.integer("epochs", job.epochs, 1);
  job.steps = settings.integer("steps", job.steps, 0);
  job.batch_size = settings.integer("batch_size", job.batch_size, 1, std::int64_t{1} << 31);
  job.slices = settings.integer("slices", job.slices, 1, kMostSlices);
  job.threads = settings.integer("threads", job.threads, 0, 4096);
  job.overlap = settings.integer("overlap", job.overlap, 0, 1);
  job.numerics = settings.choice("numerics", job.numerics, {"native", "avx2"});
  read_steering(settings, job);
  read_metrics(settings, features, usual, job);
  job.drop_last = settings.flag("drop_last", job.drop_last);
  job.report_every_steps = settings.integer("report_every_steps", job.report_every_steps, 1);
  job.report_every_seconds = settings.number("report_every_seconds", job.report_every_seconds, 0);
  if (settings.has("tensorboard")) {  // else no key of the configuration
    job.tensorboard = settings.flag("tensorboard", job.tensorboard);
  }
  job.watchdog_seconds = settings.number("watchdog_seconds", job.watchdog_seconds, 0);
  job.start_seconds = settings.number("start_seconds", job.start_seconds, 0);
  if (!std::has_single_bit(static_cast<std::uint64_t>(job.slices))) {
    settings.problem("slices", fmt::format("expected a power of two: found {}", job.slices));
  } else if (job.batch_size % job.slices != 0) {
    settings.problem("batch_size", fmt::format("expected a multiple of the {} slices: found {}",
                                               job.slices, job.batch_size));
  }
  settings.finish();
  return job;
}

CheckpointOptions read_checkpoint_options(Settings settings, const JobOptions& job) {
  settings.describe(checkpoint_keys());
  CheckpointOptions options;
  options.every_steps = settings.integer("every_steps", options.every_steps, 0);
  options.at_end = settings.flag("at_end", options.at_end);
  options.best = settings.flag("best", job.patience > 0);
  options.best_every_seconds = settings.number("best_every_seconds", options.best_every_seconds, 0);
  options.keep = settings.integer("keep", options.keep, 1);
  options.stop_on_failure = settings.choice("on_failure", "stop", {"stop", "continue"}) == "stop";
  settings.finish();
  return options;
}

}  // namespace keyshard
