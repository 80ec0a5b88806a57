#include "launch/training_run.hpp"

#include <fmt/format.h>

#include "io/make_reader.hpp"
#include "io/prefetch_reader.hpp"
#include "launch/evaluation.hpp"

namespace keyshard {
namespace {

constexpr int kReadAhead = 2;

}  // namespace

ReadPlan read_plan(const JobConfig& config, bool training) {
  ReadPlan plan;
  plan.batch_size = config.job.batch_size;
  plan.slices = config.job.slices;
  plan.seed = config.job.seed;
  plan.shuffle = training;
  plan.drop_last = training && config.job.drop_last;
  return plan;
}

TrainingRun::TrainingRun(const JobConfig& config, Communicator<Cpu>& communicator,
                         Stream<Cpu>& stream, Reporter& reporter)
    : config_(config), communicator_(communicator), reporter_(reporter), schedule_(config.job) {
  train_ = read_ahead(
      make_reader(config.data, Split::train, read_plan(config, true), communicator, stream),
      kReadAhead);
  const bool has_valid = config.data.format == DataFormat::generated || !config.data.valid.empty();
  if (has_valid) {
    valid_ = make_reader(config.data, Split::valid, read_plan(config, false), communicator, stream);
  }
  trainer_ = std::make_unique<Trainer>(config, train_->schema(), communicator, stream);
}

std::int64_t TrainingRun::total_steps() const {
  return config_.job.steps > 0 ? config_.job.steps : config_.job.epochs * train_->steps_per_epoch();
}

void TrainingRun::report(const StepResult& result) {
  examples_ += result.valid_samples;
  if (trainer_->steps() % config_.job.report_every_steps != 0 &&
      trainer_->steps() != total_steps()) {
    return;
  }
  std::int64_t bad = train_->bad_lines().count;
  communicator_.all_reduce(Span<std::int64_t>(&bad, 1), Reduction::sum);
  reporter_.step({trainer_->steps(), total_steps(), train_->position().epoch, result.loss,
                  examples_, bad, trainer_->clock()});
  trainer_->clock().reset();
  examples_ = 0;
}

void TrainingRun::evaluate() {
  if (!valid_) {
    return;
  }
  const Metrics metrics = evaluate_split(*trainer_, *valid_, config_.job.slices);
  const double value = config_.job.metric == ValidationMetric::auc        ? metrics.auc
                       : config_.job.metric == ValidationMetric::log_loss ? metrics.loss
                                                                          : metrics.rmse;
  const double scale = schedule_.state().scale;
  const bool best = schedule_.observe(value, trainer_->steps());
  reporter_.evaluation("valid", trainer_->steps(), train_->position().epoch, trainer_->loss(),
                       metrics, best);
  if (schedule_.state().scale != scale) {
    reporter_.note(
        fmt::format("learning rates are cut to {:g} of their start", schedule_.state().scale));
  }
  trainer_->clock().stop(StepPart::evaluate);
}

bool TrainingRun::step(const Batch& batch) {
  trainer_->clock().stop(StepPart::read);
  const StepResult result = trainer_->step(batch, schedule_.state().scale);
  losses_.push_back(result.loss);
  report(result);
  const std::int64_t every = config_.job.evaluate_every_steps;
  if (every > 0 && trainer_->steps() % every == 0) {
    evaluate();
  }
  return trainer_->steps() < total_steps() && !schedule_.state().stopped;
}

void TrainingRun::run() {
  Batch batch;
  bool more = trainer_->steps() < total_steps();
  std::int64_t evaluated = -1;
  while (more) {
    const bool inside = train_->next(batch);
    if (inside) {
      more = step(batch);
    }
    const bool epoch_ends = train_->position().step == train_->steps_per_epoch();
    const std::int64_t every = config_.job.evaluate_every_epochs;
    if (inside && every > 0 &&
        ((epoch_ends && (train_->position().epoch + 1) % every == 0) || !more) &&
        evaluated != trainer_->steps()) {
      evaluate();
      evaluated = trainer_->steps();
      more = more && !schedule_.state().stopped;
    }
  }
  if (schedule_.state().stopped) {
    reporter_.note(fmt::format("stopped early: {} was best at step {}: {:.4f}",
                               name_of(config_.job.metric), schedule_.state().best_step,
                               schedule_.state().best));
  }
}

}  // namespace keyshard
