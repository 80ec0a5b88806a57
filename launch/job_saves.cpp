#include "launch/job_saves.hpp"

#include <fmt/format.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// What a state that waits in memory may take on a rank.
constexpr std::int64_t kMostHeld = std::int64_t{64} << 20;

}  // namespace

JobSaves::JobSaves(const CheckpointOptions& options, JobCheckpoints* checkpoints,
                   Communicator<Cpu>& communicator, Reporter& reporter)
    : options_(options),
      checkpoints_(checkpoints),
      communicator_(communicator),
      reporter_(reporter) {}

/// Runs a part of a save. Whether it succeeded: a save has failed on all ranks, and the previous
/// checkpoint is intact. At the end of a job no later save can replace the failed one, so the job
/// fails.
template <class Part>
bool JobSaves::succeeds(SaveReason reason, std::int64_t step, const Part& part) {
  try {
    const InPhase phase(communicator_.progress(), Phase::saving);
    part();
    return true;
  } catch (const Error& error) {
    const bool goes_on = !options_.stop_on_failure && reason != SaveReason::ending;
    if (error.kind() != Kind::io || !goes_on) {
      throw;
    }
    reporter_.note(fmt::format("warning: step {} was not saved: {}", step, error.text()));
    return false;
  }
}

template <class Part>
void JobSaves::begin(SaveReason reason, std::int64_t step, const Part& part) {
  reason_ = reason;
  step_ = step;
  is_best_ = step == best_step_;
  succeeds(reason, step, part);
}

void JobSaves::begin_best() {
  best_written_ = std::chrono::steady_clock::now();
  begin(SaveReason::best, checkpoints_->held_step(), [&] { checkpoints_->begin_held(); });
}

void JobSaves::keep_best(Training& training, const Position& position) {
  if (!on() || saved_step_ == training.steps()) {
    return;
  }
  best_step_ = training.steps();
  bool may_wait = false;
  const bool taken = succeeds(SaveReason::best, best_step_, [&] {
    may_wait = checkpoints_->hold(training, position(), kMostHeld);
  });
  if (taken && !may_wait) {
    end_pending();
    begin_best();
  }
}

void JobSaves::save_due_best() {
  if (!on() || checkpoints_->held_step() < 0) {
    return;
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - best_written_;
  std::int64_t due = passed.count() >= options_.best_every_seconds ? 1 : 0;
  communicator_.all_reduce(Span<std::int64_t>(&due, 1), Reduction::max);
  if (due == 1) {
    end_pending();
    begin_best();
  }
}

void JobSaves::save(SaveReason reason, Training& training, const Position& position) {
  if (!on()) {
    return;
  }
  const std::int64_t step = training.steps();
  if (checkpoints_->held_step() == step) {
    checkpoints_->drop_held();  // this save has it
  }
  finish();
  if (saved_step_ == step) {
    return;
  }
  begin(reason, step, [&] { checkpoints_->begin(training, position()); });
  end_pending();
}

void JobSaves::advance() {
  bool ended = false;
  if (on() && checkpoints_->pending() &&
      succeeds(reason_, step_, [&] { ended = checkpoints_->advance(); }) && ended) {
    take_saved();
  }
}

void JobSaves::end_pending() {
  if (checkpoints_->pending() && succeeds(reason_, step_, [&] { checkpoints_->finish(); })) {
    take_saved();
  }
}

void JobSaves::finish() {
  if (!on()) {
    return;
  }
  end_pending();
  if (checkpoints_->held_step() >= 0) {
    begin_best();
    end_pending();
  }
}

void JobSaves::rescue() {
  // The save under way may fail, and the one that waits may not.
  for (int save = 0; save < 2; ++save) {
    try {
      finish();
    } catch (const Error& error) {
      reporter_.note(fmt::format("warning: step {} was not saved: {}", step_, error.text()));
    }
  }
}

void JobSaves::take_saved() {
  saved_step_ = step_;
  if (!checkpoints_->not_removed().empty()) {
    reporter_.note(
        fmt::format("warning: step {} was saved, but not all that it replaces could be removed: {}",
                    saved_step_, checkpoints_->not_removed()));
  }
  if (is_best_) {
    reporter_.note(fmt::format("saved step {}, the best so far", saved_step_));
  }
}

}  // namespace keyshard
