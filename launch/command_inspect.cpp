#include <fmt/format.h>

#include "io/checkpoint_reader.hpp"
#include "launch/commands.hpp"
#include "launch/job_checkpoint.hpp"
#include "launch/process.hpp"
#include "launch/training/dense_tensors.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

int with_checkpoint(const CheckpointCommand& command,
                    const std::function<void(CheckpointReader&)>& show) {
  return with_ranks([&](Communicator<Cpu>& communicator) {
    Stream<Cpu> stream(default_threads(communicator.local_size()).threads);
    LocalFileSystem files;
    CheckpointReader reader(files, find_checkpoint(command.folder, communicator), communicator,
                            stream);
    reader.verify();
    if (communicator.rank() == 0) {
      show(reader);
    }
    return kExitDone;
  });
}

}  // namespace

int run_inspect(const CheckpointCommand& command) {
  return with_checkpoint(command, [](CheckpointReader& reader) {
    fmt::print("{}\n{}\n", reader.path(), json_text(reader.description(), true));
    fmt::print("{}", dense_tensors_text(reader.manifest().state));
    if (const auto best = best_step_of(reader.manifest(), reader.path())) {
      fmt::print("best step {}: {} {:.4f}; this is step {}\n", best->step, best->metric,
                 best->value, reader.manifest().step);
    }
    fmt::print("verified\n");
  });
}

int run_digest(const CheckpointCommand& command) {
  return with_checkpoint(
      command, [](CheckpointReader& reader) { fmt::print("{}\n", reader.state_digest().hex()); });
}

}  // namespace keyshard
