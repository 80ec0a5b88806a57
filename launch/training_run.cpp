#include "launch/training_run.hpp"

#include <cmath>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "collectives/vote.hpp"
#include "io/make_reader.hpp"
#include "launch/make_training.hpp"
#include "launch/training/models/batch_norm.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr int kReadAhead = 2;

/// Where a job stands between two steps.
TrainingPosition position_of(const DataReader& train, const DataReader* valid,
                             const ScheduleState& schedule, const BadLineCounts& bad_lines,
                             const std::string& numerics) {
  TrainingPosition position;
  position.reader = train.position();
  position.schedule = schedule;
  position.train_order = train.order();
  position.valid_order = train.order();
  position.data = train.index_digest();
  position.content = train.content_digest();
  position.bad_lines = bad_lines;
  position.numerics = numerics;
  if (valid != nullptr) {
    position.valid_order = valid->order();
    position.valid_data = valid->index_digest();
    position.valid_content = valid->content_digest();
  }
  return position;
}

}  // namespace

TrainingRun::TrainingRun(const JobConfig& config, Communicator<Cpu>& communicator,
                         Stream<Cpu>& stream, Reporter& reporter, JobCheckpoints* checkpoints,
                         const StartingPoint& from, const Device& device)
    : config_(config),
      communicator_(communicator),
      reporter_(reporter),
      saves_(config_.checkpoint, checkpoints, communicator, reporter),
      device_(device),
      numerics_(numerics_of(device)),
      schedule_(config.job) {
  const bool resumes = !from.checkpoint.empty() && from.use == CheckpointUse::resume;
  const std::optional<TrainingPosition> saved =
      resumes ? std::optional(take_up_config(from.checkpoint)) : std::nullopt;
  if (!resumes && !from.checkpoint.empty()) {
    vote(communicator, [&] {
      require_same_shape(manifest_of(from.checkpoint), from.checkpoint, config_, from.use);
    });
  }
  open_data(stream);
  if (saved) {
    check_data(from.checkpoint, *saved);
  }
  training_ =
      make_training(device_, trainer_options(config_), train_->schema(), communicator, stream);
  if (resumes) {
    resume(from.checkpoint);
  } else if (!from.checkpoint.empty()) {
    start_from(from.checkpoint);
  } else {
    load_first_rows();
  }
  total_steps_ = config_.job.steps > 0 ? config_.job.steps : count_steps();
  refuse_small_slices();
  refuse_no_evaluation();
  tell_no_restriction();
}

/// A short batch, of all records of an epoch, may have slices that are too small for batch norm.
void TrainingRun::refuse_small_slices() const {
  const std::int64_t least = SliceStatistics::kLeastSamples * config_.job.slices;
  require(!config_.model.batch_norm || train_->records() >= least, Kind::invalid_argument,
          "model.batch_norm: expected at least {} samples in each of the {} slices of a batch: "
          "found {} records of training data; fewer slices do",
          SliceStatistics::kLeastSamples, config_.job.slices, train_->records());
}

/// A schedule needs an evaluation before the last step.
void TrainingRun::refuse_no_evaluation() const {
  const JobOptions& job = config_.job;
  require(
      job.evaluate_every_epochs > 0 || job.evaluate_every_steps <= total_steps_ ||
          (job.patience == 0 && job.decay >= 1),
      Kind::invalid_argument,
      "job.evaluate_every_steps: expected at most the {} steps of the job, for job.patience and "
      "job.decay need evaluations: found {}",
      total_steps_, job.evaluate_every_steps);
}

void TrainingRun::open_data(Stream<Cpu>& stream) {
  train_ = read_ahead(
      make_reader(config_.data, Split::train, read_plan(config_, true), communicator_, stream),
      kReadAhead);
  tell_note(*train_);
  if (train_->order() == ReadOrder::stream && communicator_.size() > 1) {
    reporter_.note(
        "warning: every rank unpacks all of the training data; `keyshard convert` makes a file of "
        "which each rank reads its part");
  }
  if (config_.data.format == DataFormat::generated || !config_.data.files(Split::valid).empty()) {
    valid_ = make_reader(with_names_of_values(config_.data, config_.job.metrics), Split::valid,
                         read_plan(config_, false), communicator_, stream);
    tell_note(*valid_);
    if (!config_.job.unseen.empty()) {
      unseen_ = std::make_unique<UnseenIds>(config_, *valid_, communicator_, stream);
    }
  }
}

void TrainingRun::tell_note(const DataReader& reader) {
  std::istringstream lines(reader.note());
  for (std::string line; std::getline(lines, line);) {
    reporter_.note(line);
  }
}

/// Says once what is wrong with the labels that were trained on so far. Collective.
void TrainingRun::tell_labels() {
  if (labels_told_ || config_.model.loss != Loss::log_loss) {
    return;
  }
  labels_told_ = true;
  if (const std::string problem = labels_.problem(communicator_, config_.data, Split::train);
      !problem.empty()) {
    reporter_.note("warning: " + problem);
  }
}

/// Says once where the validation data have labels of one class.
void TrainingRun::tell_labels_of(const Metrics& valid) {
  const bool one_class = valid.mean_label == 0 || valid.mean_label == 1;
  if (one_class && !valid_labels_told_ && config_.model.loss == Loss::log_loss) {
    reporter_.note(fmt::format("warning: data.valid: all {} labels are {:g}, so there is no AUC",
                               valid.samples, valid.mean_label));
  }
  valid_labels_told_ = true;
}

TrainingPosition TrainingRun::take_up_config(const std::string& checkpoint) {
  ResumePlan plan = plan_resume(checkpoint, config_, communicator_);
  config_.data = std::move(plan.data);
  for (const std::string& line : plan.told) {
    reporter_.note("warning: since the checkpoint, " + line);
  }
  if (plan.position.numerics != numerics_) {
    reporter_.note(
        fmt::format("warning: bits differ from here on: the checkpoint has the numerics {}, this "
                    "job has {}; job.numerics = \"avx2\" may agree on CPUs",
                    plan.position.numerics, numerics_));
  }
  return std::move(plan.position);
}

void TrainingRun::check_data(const std::string& checkpoint, const TrainingPosition& saved) {
  require(saved.is_on(*train_), Kind::corrupt_data,
          "{}: expected the training data of this checkpoint: found other files, sizes, records or "
          "content; --start-from in place of --resume goes on with new data",
          checkpoint);
  if (!saved.is_checked_on(valid_.get())) {
    reporter_.note(
        "warning: the validation data are not those of the checkpoint; its best metric stays");
  }
}

/// Steps up to the end of the last epoch.
std::int64_t TrainingRun::count_steps() const {
  const std::int64_t epochs_left = config_.job.epochs - train_->position().epoch - 1;
  return training_->steps() + train_->steps_left() + epochs_left * train_->steps_per_epoch();
}

void TrainingRun::resume(const std::string& checkpoint) {
  const TrainingPosition position = training_->load(checkpoint);
  train_->seek(position.reader);
  schedule_.state() = position.schedule;
  training_->bad_lines().restore(position.bad_lines);
  saves_.resume_from(training_->steps());
  reporter_.note(fmt::format("resumed from {}", checkpoint));
}

void TrainingRun::start_from(const std::string& checkpoint) {
  training_->load(checkpoint);
  reporter_.note(fmt::format("started from the rows, weights and optimizers of {}, after {} steps",
                             checkpoint, training_->steps()));
  training_->restore_steps(0);
  for (const Pretrained& table : config_.pretrained) {
    reporter_.note(fmt::format(
        "warning: no effect: tables.{}.pretrained: the rows are those of the checkpoint",
        table.table));
  }
}

/// Loads the rows that tables have before the first step.
void TrainingRun::load_first_rows() {
  for (Pretrained from : config_.pretrained) {
    if (form_of(from.path, communicator_) == VectorForm::checkpoint) {
      from.path = find_checkpoint(from.path, communicator_);
    }
    const std::int64_t rows = training_->load_rows_of(from);
    reporter_.note(fmt::format("table {}: {} rows from {}", from.table, rows, from.path));
  }
}

bool TrainingRun::evaluation_is_due() const {
  const std::int64_t steps = config_.job.evaluate_every_steps,
                     epochs = config_.job.evaluate_every_epochs;
  if (steps > 0 && training_->steps() % steps == 0) {
    return true;
  }
  const bool epoch_ends =
      train_->steps_left() == 0 && epochs > 0 && (train_->position().epoch + 1) % epochs == 0;
  return epoch_ends || (epochs > 0 && training_->steps() == total_steps());
}

/// A metric that is undefined now stays so, for it depends on the labels and weights alone.
void TrainingRun::tell_undefined(const Metrics& metrics) {
  const ValidationMetric metric = config_.job.metric;
  if (told_undefined_ || !std::isnan(chosen(metrics, metric))) {
    return;
  }
  const std::string why = fmt::format("{} is undefined on the validation data: {}", name_of(metric),
                                      why_undefined(metrics, metric));
  require(config_.job.patience == 0 && config_.job.decay >= 1, Kind::bad_input,
          "{}; job.patience and job.decay need a metric that is defined, such as job.metric = "
          "\"{}\"",
          why, training_->loss() == Loss::log_loss ? "log_loss" : "rmse");
  reporter_.note("warning: " + why + "; no step counts as the best");
  told_undefined_ = true;
}

void TrainingRun::evaluate() {
  const SplitMetrics metrics = training_->evaluate(*valid_, {unseen_.get(), config_.job.metrics});
  tell_undefined(metrics.all);
  if (!told_undefined_) {
    tell_labels_of(metrics.all);
  }
  const double scale = schedule_.state().scale;
  const bool best = schedule_.observe(chosen(metrics.all, config_.job.metric), training_->steps());
  reporter_.evaluation("valid", training_->steps(), train_->position().epoch, training_->loss(),
                       metrics, best);
  if (schedule_.state().scale != scale) {
    reporter_.note(
        fmt::format("learning rates are cut to {:g} of their start", schedule_.state().scale));
  }
  training_->clock().stop(StepPart::evaluate);
  if (best && config_.checkpoint.best) {
    saves_.keep_best(*training_, [&] { return position(); });
  }
  saves_.save_due_best();
  training_->clock().stop(StepPart::save);
}

TrainingPosition TrainingRun::position() const {
  return position_of(*train_, valid_.get(), schedule_.state(), training_->bad_lines().counts(),
                     numerics_);
}

void TrainingRun::report(const StepResult& result, bool last) {
  examples_ += result.valid_samples;
  if (training_->steps() % config_.job.report_every_steps != 0 && !last) {
    return;
  }
  tell_dropped();
  reporter_.step({.step = training_->steps(),
                  .total_steps = total_steps(),
                  .epoch = train_->position().epoch,
                  .loss = result.loss,
                  .examples = examples_,
                  .bad_lines = training_->bad_lines().counts().total,
                  .clock = training_->clock(),
                  .rows = training_->rows()});
  training_->clock().reset();
  examples_ = 0;
}

/// Names the tables with a limit that no step of the job looks at. A table counts the steps of its
/// optimizer, which go on where a job starts from a checkpoint.
void TrainingRun::tell_no_restriction() {
  for (const TableNote& table : training_->tables()) {
    const TableOptions& options = table.options;
    if (!options.trainable) {
      continue;
    }
    const std::int64_t start = table.steps - training_->steps();
    const std::int64_t every = options.restrict_every;
    if (options.max_rows > 0 && (start + total_steps_) / every == start / every) {
      reporter_.note(fmt::format(
          "warning: no effect: max_rows of table {}: the {} steps of the job have none of those "
          "that its restrict_every = {} names",
          options.name, total_steps_, every));
    }
  }
}

/// The rows that tables with `max_rows` have lost since the last report.
void TrainingRun::tell_removed() {
  std::int64_t removed = 0;
  for (const TableNote& table : training_->tables()) {
    removed += table.removed;
  }
  if (removed > told_removed_) {
    reporter_.note(fmt::format("step {}: {} rows removed, for max_rows of their tables",
                               training_->steps(), removed - told_removed_));
    told_removed_ = removed;
  }
}

/// The gradients of keys without a row that tables with an admission have dropped since the last
/// report, on all ranks.
void TrainingRun::tell_dropped() {
  const std::int64_t dropped = training_->not_admitted();
  if (dropped > told_dropped_) {
    reporter_.note(fmt::format("step {}: {} gradients dropped of keys that are not admitted yet",
                               training_->steps(), dropped - told_dropped_));
    told_dropped_ = dropped;
  }
}

void TrainingRun::tell_fast_rows() {
  if (const auto counts = training_->fast_counts()) {
    reporter_.note(fmt::format(
        "tiered tables: {:.1f} % of the rows that steps used lay in fast memory ({} of {})",
        100 * counts->share(), counts->found, counts->found + counts->fetched));
  }
}

void TrainingRun::finish_step(const StepResult& result) {
  losses_.push_back(result.loss);
  tell_removed();
  if (valid_ && evaluation_is_due()) {
    evaluate();
  }
  const bool last = finished();
  const std::int64_t every = config_.checkpoint.every_steps;
  if (result.stop || (last && config_.checkpoint.at_end)) {
    saves_.save(SaveReason::ending, *training_, [&] { return position(); });
  } else if (every > 0 && training_->steps() % every == 0) {
    saves_.save(SaveReason::routine, *training_, [&] { return position(); });
  }
  saves_.advance();
  training_->clock().stop(StepPart::save);
  report(result, last || result.stop);
}

RunEnd TrainingRun::run(const std::function<bool()>& stop) {
  try {
    return run_steps(stop);
  } catch (const SharedError&) {
    saves_.rescue();
    throw;
  } catch (const std::exception&) {
    if (communicator_.size() == 1) {
      saves_.rescue();
    }
    throw;
  }
}

RunEnd TrainingRun::run_steps(const std::function<bool()>& stop) {
  Batch batch;
  while (!finished()) {
    if (!read_next(*train_, batch, communicator_.progress())) {
      training_->bad_lines().begin_epoch();
      tell_labels();
      continue;
    }
    if (!labels_told_) {
      labels_.add(batch);
    }
    const bool overlaps = config_.job.overlap > 0 && training_->steps() + 1 < total_steps_;
    const NextBatch next = overlaps ? peek_next(*train_, communicator_.progress()) : NextBatch();
    training_->clock().stop(StepPart::read);
    const StepResult result = training_->step(batch, rate_scale(), stop && stop(), next);
    finish_step(result);
    if (result.stop) {
      return RunEnd::stopped_by_signal;
    }
  }
  saves_.finish();
  tell_labels();
  tell_fast_rows();
  if (schedule_.stopped()) {
    reporter_.note(fmt::format("stopped early: {} was best at step {}: {:.4f}",
                               name_of(config_.job.metric), schedule_.state().best_step,
                               schedule_.state().best));
  }
  return RunEnd::done;
}

}  // namespace keyshard
