// The measures of `keyshard bench --device cuda` on the simulated device, at small sizes: each
// runs, and what it times does what it says.
#include "launch/bench/cuda_bench.hpp"
#include "tests/launch/bench/device_calls.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

using SimBench = SimTest;

TEST_F(SimBench, EachMeasureHasItsResultsBesideALimit) {
  sim::reset_device({.guard = false});
  const ScratchFolder scratch;
  const BenchCommand command = tiny_bench(scratch.path("results.jsonl"));
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    BenchReport report({.versions = {}, .cpu = "CPU", .device = "simulated"}, command.json, false);
    BenchContext context(command, communicator, stream, report);
    bench_on_cuda({.cuda = 0, .name = "simulated"}, context, device_measure_names());
  });
  expect_results(command.json, tiny_results());
}

TEST_F(SimBench, LimitsReadAndChangeTheRowsThatWereDrawn) {
  for_seeds(2, [](int) {
    Stream<Cuda> stream(0);
    for (const std::int64_t dim : {1, 8, 16, 40}) {
      expect_row_limit(stream, dim);
    }
  });
}

TEST_F(SimBench, CallsFindInsertAndStepTheKeysOfTheirTable) {
  Stream<Cuda> stream(0);
  expect_table_calls(stream);
}

}  // namespace
}  // namespace keyshard::testing
