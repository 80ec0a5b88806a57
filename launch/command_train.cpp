#include <filesystem>

#include <fmt/format.h>

#include "launch/commands.hpp"
#include "launch/models/gemm.hpp"
#include "launch/process.hpp"
#include "launch/training_run.hpp"
#include "runtime/error.hpp"

namespace keyshard {

int run_train(const TrainCommand& command) {
  JobConfig config = configure(command);
  if (command.steps >= 0) {
    config.job.steps = command.steps;
  }
  pin_gemm_code_path(config.job.numerics);
  return with_ranks([&](Communicator<Cpu>& communicator) {
    check_same_config(communicator, config);
    Stream<Cpu> stream(threads_of(communicator, config));
    std::filesystem::create_directories(config.job.output);
    Reporter reporter(communicator.rank(), command.progress, config.job.output + "/metrics.jsonl");
    TrainingRun run(config, communicator, stream, reporter);
    reporter.note(fmt::format("{} on {} ranks x {} threads, {} slices", name_of(config.model.type),
                              communicator.size(), stream.threads().size(), config.job.slices));
    run.run();
    reporter.note(fmt::format("state digest {}", run.trainer().digest().hex()));
    return kExitDone;
  });
}

}  // namespace keyshard
