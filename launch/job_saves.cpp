#include "launch/job_saves.hpp"

#include <fmt/format.h>

#include "runtime/error.hpp"

namespace keyshard {

JobSaves::JobSaves(const CheckpointOptions& options, JobCheckpoints* checkpoints,
                   Communicator<Cpu>& communicator, Reporter& reporter)
    : options_(options),
      checkpoints_(checkpoints),
      communicator_(communicator),
      reporter_(reporter) {}

/// Runs a half of a save. Whether it succeeded: a save has failed on all ranks, and the previous
/// checkpoint is intact. At the end of a job no later save can replace the failed one, so the job
/// fails.
template <class Part>
bool JobSaves::succeeds(const Part& part) {
  try {
    const InPhase phase(communicator_.progress(), Phase::saving);
    part();
    return true;
  } catch (const Error& error) {
    const bool goes_on = !options_.stop_on_failure && reason_ != SaveReason::ending;
    if (error.kind() != Kind::io || !goes_on) {
      throw;
    }
    reporter_.note(fmt::format("warning: step {} was not saved: {}", step_, error.text()));
    return false;
  }
}

void JobSaves::save(SaveReason reason, Training& training,
                    const std::function<TrainingPosition()>& position) {
  if (!on()) {
    return;
  }
  finish();
  if (saved_step_ == training.steps()) {
    return;
  }
  reason_ = reason;
  step_ = training.steps();
  const bool begun = succeeds([&] { checkpoints_->begin(training, position()); });
  if (begun && reason != SaveReason::best) {
    finish();
  }
}

void JobSaves::advance() {
  bool ended = false;
  if (on() && checkpoints_->pending() && succeeds([&] { ended = checkpoints_->advance(); }) &&
      ended) {
    take_saved();
  }
}

void JobSaves::finish() {
  if (on() && checkpoints_->pending() && succeeds([&] { checkpoints_->finish(); })) {
    take_saved();
  }
}

void JobSaves::take_saved() {
  saved_step_ = step_;
  if (!checkpoints_->not_removed().empty()) {
    reporter_.note(
        fmt::format("warning: step {} was saved, but not all that it replaces could be removed: {}",
                    saved_step_, checkpoints_->not_removed()));
  }
  if (reason_ == SaveReason::best) {
    reporter_.note(fmt::format("saved step {}, the best so far", saved_step_));
  }
}

}  // namespace keyshard
