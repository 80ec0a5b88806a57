#include <memory>

#include <fmt/format.h>

#include "io/checkpoint_folder.hpp"
#include "launch/commands.hpp"
#include "launch/process.hpp"
#include "launch/stop_signal.hpp"
#include "launch/training/models/gemm.hpp"
#include "launch/training/models/numerics.hpp"
#include "launch/training_run.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The checkpoint that a job goes on from; empty: it starts from nothing.
std::string starting_point(const TrainCommand& command, const JobConfig& config,
                           Communicator<Cpu>& communicator) {
  LocalFileSystem files;
  const std::string latest =
      latest_checkpoint(files, checkpoint_folder(config.job.output), communicator);
  if (command.resume == "latest") {
    return latest;
  }
  if (command.resume != "none") {
    return find_checkpoint(command.resume, communicator);
  }
  require(latest.empty(), Kind::invalid_argument,
          "{}: expected an output folder without checkpoints: found {}; go on with --resume "
          "latest, or give another --output",
          config.job.output, latest);
  return "";
}

/// Rank 0 holds the folder for the whole job.
std::unique_ptr<FolderLock> lock_output(const JobConfig& config, Communicator<Cpu>& communicator) {
  LocalFileSystem files;
  files.make_folders(config.job.output);
  return communicator.rank() == 0 ? std::make_unique<FolderLock>(config.job.output) : nullptr;
}

/// The trace that a training writes or is compared with; null: none.
std::unique_ptr<StepTrace<Cpu>> start_trace(const std::string& path,
                                            Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                            Trainer<Cpu>& trainer) {
  if (path.empty()) {
    return nullptr;
  }
  auto trace = std::make_unique<StepTrace<Cpu>>(path, communicator, stream);
  trainer.trace_into(*trace);
  return trace;
}

int train(const TrainCommand& command, const JobConfig& config, Communicator<Cpu>& communicator) {
  check_same_config(
      communicator, config,
      {{"--resume", {command.resume, ""}}, {"--trace-digests", {command.trace_digests, ""}}});
  check_same_numerics(communicator);
  Stream<Cpu> stream(threads_of(communicator, config));
  const std::unique_ptr<Watchdog> watchdog = watch_ranks(communicator, config.job.watchdog_seconds);
  const std::unique_ptr<FolderLock> lock = lock_output(config, communicator);
  const std::string start = starting_point(command, config, communicator);
  JobCheckpoints checkpoints(config, communicator, stream);
  Reporter reporter(communicator.rank(), command.progress, config.job.output);
  TrainingRun run(config, communicator, stream, reporter, &checkpoints, start);
  reporter.note(fmt::format("{} on {} ranks x {} threads, {} slices, {} steps",
                            name_of(config.model.type), communicator.size(),
                            stream.threads().size(), config.job.slices, run.total_steps()));
  const std::unique_ptr<StepTrace<Cpu>> trace =
      start_trace(command.trace_digests, communicator, stream, run.trainer());
  watch_stop_signals();
  const RunEnd end = run.run(stop_requested);
  communicator.progress().enter(Phase::ending);
  if (trace) {
    reporter.note(trace->summary());
  }
  reporter.note(fmt::format("state digest {}", run.trainer().digest().hex()));
  if (watchdog) {
    watchdog->end();
  }
  if (end == RunEnd::stopped_by_signal) {
    reporter.note(fmt::format("stopped by a signal after step {}; go on with --resume latest",
                              run.trainer().steps()));
    return kExitStopped;
  }
  return kExitDone;
}

}  // namespace

int run_train(const TrainCommand& command) {
  JobConfig config = configure(command);
  if (command.steps >= 0) {
    config.job.steps = command.steps;
    config.values["job.steps"] = {command.steps, "--steps"};
  }
  pin_gemm_code_path(config.job.numerics);
  return with_ranks(
      [&](Communicator<Cpu>& communicator) { return train(command, config, communicator); });
}

}  // namespace keyshard
