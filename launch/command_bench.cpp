#include <algorithm>

#include <fmt/format.h>

#include "launch/bench/cuda_bench.hpp"
#include "launch/bench/device_measures.hpp"
#include "launch/bench/machine.hpp"
#include "launch/bench/measures.hpp"
#include "launch/commands.hpp"
#include "launch/process.hpp"
#include "launch/training/models/gemm.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

template <class Measure>
std::vector<std::string> names_of(const std::vector<Measure>& measures) {
  std::vector<std::string> names;
  for (const Measure& measure : measures) {
    names.push_back(measure.name);
  }
  return names;
}

/// The measures that a command asks for, of those that there are.
std::vector<std::string> chosen(const std::vector<std::string>& asked,
                                const std::vector<std::string>& legal) {
  for (const std::string& name : asked) {
    const std::string near = nearest_word(name, legal);
    require(std::find(legal.begin(), legal.end(), name) != legal.end(), Kind::invalid_argument,
            "expected a measure, one of {}: found \"{}\"{}", joined(legal, ", "), name,
            near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
  }
  return asked.empty() ? legal : asked;
}

/// What `--quick` and a CPU make of the sizes.
BenchCommand sized(BenchCommand command, const Device& device) {
  DeviceSizes& sizes = command.sizes;
  if (device.cuda < 0) {
    sizes.call = 1 << 16;
    sizes.capacity = 1 << 20;
  }
  if (command.quick) {
    command.rounds = 1;
    command.warmup = std::min<std::int64_t>(command.warmup, 2);
    command.steps = std::min<std::int64_t>(command.steps, 6);
    sizes.call = std::min<std::int64_t>(sizes.call, 1 << 12);
    sizes.capacity = std::min<std::int64_t>(sizes.capacity, 1 << 15);
    sizes.large_rows = std::min<std::int64_t>(sizes.large_rows, 1 << 20);
    sizes.samples = 1000;
    sizes.rows_of_table = 20'000;
  }
  return command;
}

void run_measures(const BenchCommand& command, BenchContext& context,
                  const std::vector<std::string>& names) {
  for (const std::int64_t dim : command.dims) {
    context.set_dim(dim);
    for (const NamedMeasure& measure : all_measures()) {
      if (std::find(names.begin(), names.end(), measure.name) != names.end()) {
        measure.run(context);
      }
    }
  }
}

int bench(const BenchCommand& asked, Communicator<Cpu>& communicator) {
  const Device device = choose_device(asked.where, communicator);
  const bool on_cpu = device.cuda < 0;
  require(on_cpu || communicator.size() == 1, Kind::invalid_argument,
          "bench --device {}: expected one rank: found {}", asked.where.device,
          communicator.size());
  const std::vector<std::string> names =
      chosen(asked.measures, on_cpu ? names_of(all_measures()) : names_of(device_measures<Cpu>()));
  const BenchCommand command = sized(asked, device);
  const int threads = command.threads > 0 ? static_cast<int>(command.threads)
                                          : default_threads(communicator.local_size()).threads;
  Stream<Cpu> stream(threads);
  const BenchRun run{.threads = threads,
                     .ranks = communicator.size(),
                     .versions = {{"keyshard", KEYSHARD_VERSION}, {"onednn", gemm_version()}},
                     .cpu = cpu_model(),
                     .huge_pages = huge_malloc(),
                     .device = device.name};
  BenchReport report(run, command.json, communicator.rank() > 0);
  report.say(fmt::format("{}, {}; medians, and the ratio of each to its limit in the same run",
                         run.cpu, place_of(device, communicator.size(), threads)));
  BenchContext context(command, communicator, stream, report);
  if (on_cpu) {
    run_measures(command, context, names);
  } else {
    bench_on_cuda(device, context, names);
  }
  return kExitDone;
}

}  // namespace

int run_bench(const BenchCommand& command) {
  return with_ranks([&](Communicator<Cpu>& communicator) { return bench(command, communicator); });
}

}  // namespace keyshard
