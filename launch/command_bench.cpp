#include <algorithm>

#include <fmt/format.h>

#include "launch/bench/machine.hpp"
#include "launch/bench/measures.hpp"
#include "launch/commands.hpp"
#include "launch/process.hpp"
#include "launch/training/models/gemm.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

std::vector<NamedMeasure> chosen(const std::vector<std::string>& names) {
  std::vector<std::string> legal;
  for (const NamedMeasure& measure : all_measures()) {
    legal.push_back(measure.name);
  }
  for (const std::string& name : names) {
    const std::string near = nearest_word(name, legal);
    require(std::find(legal.begin(), legal.end(), name) != legal.end(), Kind::invalid_argument,
            "expected a measure, one of {}: found \"{}\"{}", joined(legal, ", "), name,
            near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
  }
  std::vector<NamedMeasure> measures;
  for (const NamedMeasure& measure : all_measures()) {
    if (names.empty() || std::find(names.begin(), names.end(), measure.name) != names.end()) {
      measures.push_back(measure);
    }
  }
  return measures;
}

/// What `--quick` makes of the sizes.
BenchCommand sized(BenchCommand command) {
  if (command.quick) {
    command.rounds = 1;
    command.warmup = std::min<std::int64_t>(command.warmup, 2);
    command.steps = std::min<std::int64_t>(command.steps, 6);
  }
  return command;
}

int bench(const BenchCommand& command, Communicator<Cpu>& communicator) {
  const std::vector<NamedMeasure> measures = chosen(command.measures);
  const int threads = command.threads > 0 ? static_cast<int>(command.threads)
                                          : default_threads(communicator.local_size()).threads;
  Stream<Cpu> stream(threads);
  const BenchRun run{threads,
                     communicator.size(),
                     {{"keyshard", KEYSHARD_VERSION}, {"onednn", gemm_version()}},
                     cpu_model(),
                     huge_malloc()};
  BenchReport report(run, command.json, communicator.rank() > 0);
  report.say(
      fmt::format("{}, {} ranks x {} threads; medians, and the ratio of each to its limit in "
                  "the same run",
                  run.cpu, run.ranks, run.threads));
  BenchContext context(command, communicator, stream, report);
  for (const std::int64_t dim : command.dims) {
    context.set_dim(dim);
    for (const NamedMeasure& measure : measures) {
      measure.run(context);
    }
  }
  return kExitDone;
}

}  // namespace

int run_bench(const BenchCommand& command) {
  return with_ranks(
      [&](Communicator<Cpu>& communicator) { return bench(sized(command), communicator); });
}

}  // namespace keyshard
