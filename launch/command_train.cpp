#include <filesystem>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "launch/commands.hpp"
#include "launch/process.hpp"
#include "launch/report/job_report.hpp"
#include "launch/stop_signal.hpp"
#include "launch/training/job_checks.hpp"
#include "launch/training/models/gemm.hpp"
#include "launch/training/models/numerics.hpp"
#include "launch/training_run.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The checkpoint that a job begins with.
StartingPoint starting_point(const TrainCommand& command, const JobConfig& config,
                             Communicator<Cpu>& communicator) {
  LocalFileSystem files;
  const std::string& output = config.job.output;
  const std::string latest = latest_checkpoint(files, checkpoint_folder(output), communicator);
  if (command.resume == "latest") {
    return {latest, CheckpointUse::resume};
  }
  if (command.resume != "none") {
    return {find_checkpoint(command.resume, communicator, output), CheckpointUse::resume};
  }
  require(latest.empty() || command.overwrite, Kind::invalid_argument,
          "{}: expected an output folder without checkpoints: found {}; go on with --resume "
          "latest, or give another --output; --overwrite replaces what it holds",
          output, latest);
  return {
      command.start_from.empty() ? "" : find_checkpoint(command.start_from, communicator, output),
      CheckpointUse::start};
}

/// Rank 0 holds the folder for the whole job.
std::unique_ptr<FolderLock> lock_output(const JobConfig& config, Communicator<Cpu>& communicator) {
  LocalFileSystem files;
  files.make_folders(config.job.output);
  return communicator.rank() == 0 ? std::make_unique<FolderLock>(config.job.output) : nullptr;
}

/// The folders of a path that do not exist, the innermost first; none on ranks other than 0. No
/// rank goes on before rank 0 has looked. Collective.
std::vector<std::filesystem::path> absent_folders(const std::string& folder,
                                                  Communicator<Cpu>& communicator) {
  std::vector<std::filesystem::path> absent;
  std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
  std::error_code error;
  while (communicator.rank() == 0 && path.has_relative_path() &&
         std::filesystem::symlink_status(path, error).type() ==
             std::filesystem::file_type::not_found) {
    if (path.has_filename()) {
      absent.push_back(path);
    }
    path = path.parent_path();
  }
  communicator.barrier();
  return absent;
}

/// Whether the checkpoints of a job lie in an output folder.
bool has_checkpoints(const std::filesystem::path& output) {
  std::error_code ignored;
  std::filesystem::directory_iterator entry(checkpoint_folder(output.string()), ignored), end;
  return entry != end;
}

/// An output folder that this job has made goes again, with all in it, unless the job keeps it: so
/// what is refused before the first step leaves nothing behind. The caller holds the folder's lock.
/// A folder with checkpoints stays: another job has come between.
class NewOutput {
 public:
  explicit NewOutput(std::vector<std::filesystem::path> made) : made_(std::move(made)) {}

  ~NewOutput() {
    std::error_code ignored;
    for (const std::filesystem::path& path : made_) {
      if (path == made_.front()) {
        if (has_checkpoints(path)) {
          return;
        }
        std::filesystem::remove_all(path, ignored);
      } else {
        std::filesystem::remove(path, ignored);  // another job may have a folder in it by now
      }
    }
  }

  NewOutput(const NewOutput&) = delete;
  NewOutput& operator=(const NewOutput&) = delete;

  void keep() { made_.clear(); }

 private:
  std::vector<std::filesystem::path> made_;  // the innermost first
};

/// Runs a training; what fails before the end of the first step keeps no new output folder.
RunEnd run_keeping(TrainingRun& run, NewOutput& output) {
  watch_stop_signals();
  try {
    const RunEnd end = run.run(stop_requested);
    output.keep();
    return end;
  } catch (...) {
    if (run.training().steps() > 0) {
      output.keep();
    }
    throw;
  }
}

/// What a user may want to know before the first step.
void tell_start(const JobConfig& config, const FolderLock* lock, Reporter& reporter) {
  if (lock != nullptr && !lock->missing().empty()) {
    reporter.note(fmt::format("warning: {}; nothing keeps a second job out of {}", lock->missing(),
                              config.job.output));
  }
  for (const std::string& line : without_effect(config)) {
    reporter.note("warning: no effect: " + line);
  }
  for (const std::string& line : repeated_files(config)) {
    reporter.note("warning: " + line);
  }
}

/// What runs, and on what.
void tell_run(const JobConfig& config, TrainingRun& run, const std::string& place,
              Reporter& reporter) {
  reporter.note(fmt::format("{} on {}, {} slices, {} steps", name_of(config.model.type), place,
                            config.job.slices, run.total_steps()));
  if (run.finished()) {
    reporter.note(fmt::format("nothing left to do: {} of {} steps{}", run.training().steps(),
                              run.total_steps(),
                              run.schedule().stopped() ? ", for it has stopped early" : ""));
  }
}

/// The command that scores with the best step of this training, as far as it is saved.
void tell_best(const JobConfig& config, const TrainingRun& run, Reporter& reporter) {
  LocalFileSystem files;
  const std::string& output = config.job.output;
  const ScheduleState& schedule = run.schedule().state();
  const auto saved = [&](std::int64_t step) {
    return files.exists(checkpoint_folder(output) + "/" + step_name(step));
  };
  if (run.saved_step() < 0) {
    return;
  }
  const std::string value =
      schedule.any ? fmt::format("{} {:.4f}", name_of(config.job.metric), schedule.best) : "";
  if (!schedule.any) {
    reporter.note(fmt::format("score with step {}: keyshard evaluate --checkpoint {}",
                              run.saved_step(), output));
  } else if (saved(schedule.best_step)) {
    reporter.note(
        fmt::format("score with the best step, {} ({}): keyshard evaluate --checkpoint {}/{}",
                    schedule.best_step, value, output, schedule.best_step));
  } else {
    reporter.note(fmt::format(
        "the best step, {} ({}), is not kept{}; score with step {}: keyshard evaluate "
        "--checkpoint {}",
        schedule.best_step, value, config.checkpoint.best ? "" : ", for checkpoint.best is false",
        run.saved_step(), output));
  }
}

/// The exit code of a training that has ended, the same on all ranks. Collective.
int ending_of(const JobConfig& config, RunEnd end, const Reporter& reporter,
              Communicator<Cpu>& communicator) {
  std::int64_t code = end == RunEnd::stopped_by_signal ? kExitStopped : kExitDone;
  const std::string lost = reporter.lost();
  if (!lost.empty()) {
    const bool fails = config.checkpoint.stop_on_failure && code == kExitDone;
    fmt::print(stderr, "{}: {}\n", fails ? "error" : "warning", lost);
    code = fails ? kExitFailure : code;
  }
  communicator.all_reduce(Span<std::int64_t>(&code, 1), Reduction::max);
  return static_cast<int>(code);
}

/// Says how a training has ended and returns its exit code. Collective.
int end_training(const JobConfig& config, TrainingRun& run, RunEnd end, Reporter& reporter,
                 Communicator<Cpu>& communicator) {
  if (const std::string traced = run.training().trace_summary(); !traced.empty()) {
    reporter.note(traced);
  }
  if (communicator.rank() == 0) {
    tell_best(config, run, reporter);
  }
  reporter.note(fmt::format("state digest {}", run.training().digest().hex()));
  if (end == RunEnd::stopped_by_signal) {
    reporter.note(fmt::format("stopped by a signal after step {}; go on with --resume latest",
                              run.training().steps()));
  }
  return ending_of(config, end, reporter, communicator);
}

/// Begins the events for TensorBoard where they are asked for. Collective.
void write_events(const JobConfig& config, TrainingRun& run, Reporter& reporter,
                  Communicator<Cpu>& communicator) {
  if (config.job.tensorboard) {
    vote(communicator, [&] { reporter.write_events(run.training().steps()); });
  }
}

/// Writes the page of the job where it is asked for; returns the exit code. The job itself has
/// ended, so a page that cannot be written is told and keeps any other code than 0. Collective.
int show_report(const TrainCommand& command, const JobConfig& config, int code, Reporter& reporter,
                Communicator<Cpu>& communicator) {
  if (!command.report) {
    return code;
  }
  const std::string path = report_path(config.job.output);
  try {
    vote(communicator, [&] {
      if (communicator.rank() == 0) {
        write_report(config.job.output, path);
      }
    });
  } catch (const Error& error) {
    reporter.note(fmt::format("warning: {} was not written: {}", path, error.text()));
    return code == kExitDone ? kExitFailure : code;
  }
  reporter.note("curves of the run: " + path);
  return code;
}

/// Throws on all ranks where two were started for another training. Collective.
void check_started_alike(const TrainCommand& command, const JobConfig& config,
                         Communicator<Cpu>& communicator) {
  check_same_config(communicator, config,
                    {{"--resume", {command.resume, ""}},
                     {"--start-from", {command.start_from, ""}},
                     {"--overwrite", {command.overwrite, ""}},
                     {"--report", {command.report, ""}},
                     {"--trace-digests", {command.trace_digests, ""}}});
  check_same_numerics(communicator);
}

int train(const TrainCommand& command, const JobConfig& given, Communicator<Cpu>& communicator,
          StartWatch& ranks_start) {
  check_started_alike(command, given, communicator);
  JobConfig config = given;
  Stream<Cpu> stream(threads_of(communicator, config));
  const std::unique_ptr<Watchdog> watchdog =
      watch_ranks(communicator, config.job.watchdog_seconds, ranks_start);
  std::vector<std::filesystem::path> absent = absent_folders(config.job.output, communicator);
  const std::unique_ptr<FolderLock> lock = lock_output(config, communicator);
  NewOutput output(std::move(absent));
  JobCheckpoints checkpoints(config, communicator, stream);
  const StartingPoint start = starting_point(command, config, communicator);
  if (!start.checkpoint.empty() && start.use == CheckpointUse::resume) {
    vote(communicator, [&] { keep_best_as_before(start.checkpoint, config); });
  }
  Reporter reporter(communicator.rank(), command.progress, config.job.output,
                    config.job.report_every_seconds);
  const Device device = choose_device(command, communicator);
  TrainingRun run(config, communicator, stream, reporter, &checkpoints, start, device);
  if (command.overwrite) {
    reporter.start_over();
    checkpoints.remove_all();
  }
  write_events(config, run, reporter, communicator);
  tell_start(config, lock.get(), reporter);
  tell_run(config, run, place_of(device, communicator.size(), stream.threads().size()), reporter);
  if (!command.trace_digests.empty()) {
    run.training().trace_into(command.trace_digests);
  }
  const RunEnd end = run_keeping(run, output);
  communicator.progress().enter(Phase::ending);
  const int code =
      show_report(command, config, end_training(config, run, end, reporter, communicator), reporter,
                  communicator);
  if (watchdog) {
    watchdog->end();
  }
  return code;
}

}  // namespace

int run_train(const TrainCommand& command) {
  JobConfig config = configure(command);
  if (command.steps >= 0) {
    config.job.steps = command.steps;
    config.values["job.steps"] = {command.steps, "--steps"};
  }
  refuse_unworkable(config);
  pin_gemm_code_path(config.job.numerics);
  return with_ranks(config.job.start_seconds,
                    [&](Communicator<Cpu>& communicator, StartWatch& start) {
                      return train(command, config, communicator, start);
                    });
}

}  // namespace keyshard
