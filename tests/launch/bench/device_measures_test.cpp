// The measures of any device on a CPU, their limits, and the bytes that these count.
#include "launch/bench/device_measures.hpp"

#include <numeric>

#include "launch/bench/least_bytes.hpp"
#include "launch/bench/scrambled_order.hpp"
#include "runtime/error.hpp"
#include "tests/launch/bench/device_calls.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::run_ranks;

TEST(DeviceMeasures, EachHasItsResultsBesideALimit) {
  const testing::ScratchFolder scratch;
  const BenchCommand command = testing::tiny_bench(scratch.path("results.jsonl"));
  run_ranks(1, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    BenchReport report({.versions = {}, .cpu = "CPU"}, command.json, false);
    BenchContext context(command, communicator, stream, report);
    run_device_measures<Cpu>({context, communicator, stream, command.sizes.dims},
                             testing::device_measure_names());
  });
  testing::expect_results(command.json, testing::tiny_results());
}

TEST(DeviceMeasures, OnlyThoseThatAreNamedRun) {
  const testing::ScratchFolder scratch;
  const BenchCommand command = testing::tiny_bench(scratch.path("results.jsonl"));
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    BenchReport report({.versions = {}, .cpu = "CPU"}, command.json, false);
    BenchContext context(command, communicator, stream, report);
    run_device_measures<Cpu>({context, communicator, stream, {8}}, {"dedup"});
  });
  testing::expect_results(command.json, {"P dedup dim 8"});
}

TEST(BenchClock, TimesCallsInPlaceOfThatOfTheHost) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const BenchCommand command;
    BenchReport report({.versions = {}, .cpu = "CPU"}, "", true);
    BenchContext context(command, communicator, stream, report);
    int calls = 0;
    context.time_by([](const std::function<void()>& body) {
      body();
      return 0.5;
    });
    EXPECT_EQ(context.seconds_of([&] { ++calls; }), 0.5);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(context.wait_quiet(), 0);  // and not because of --quick
  });
}

TEST(RowLimit, ReadsAndChangesTheRowsThatWereDrawn) {
  Stream<Cpu> stream(2);
  for (const std::int64_t dim : {1, 8, 16, 40}) {
    testing::expect_row_limit(stream, dim);
  }
}

TEST(TableCalls, FindInsertAndStepTheKeysOfTheirTable) {
  Stream<Cpu> stream(2);
  testing::expect_table_calls(stream);
}

TEST(ScrambledOrder, HasEachNumberOnceBeforeItStartsAgain) {
  for (const std::int64_t size : {1, 2, 3, 64, 100, 1000}) {
    ScrambledOrder order(size);
    std::vector<std::uint32_t> expected(static_cast<std::size_t>(size));
    std::iota(expected.begin(), expected.end(), 0u);
    std::vector<std::uint32_t> first;
    for (int round = 0; round < 2; ++round) {
      std::vector<std::uint32_t> numbers;
      for (std::int64_t left = size; left > 0;) {
        const std::vector<std::uint32_t> some = order.next(std::min<std::int64_t>(left, 7));
        numbers.insert(numbers.end(), some.begin(), some.end());
        left -= std::ssize(some);
      }
      first = round == 0 ? numbers : first;
      EXPECT_EQ(numbers, first);
      std::sort(numbers.begin(), numbers.end());
      EXPECT_EQ(numbers, expected) << size;
    }
  }
}

TEST(ScrambledOrder, StartsAgainWhereFewerAreLeftThanACallWants) {
  ScrambledOrder order(10);
  const std::vector<std::uint32_t> first = order.next(6);
  EXPECT_EQ(order.next(6), first);
  EXPECT_THROW(order.next(11), Error);
}

TEST(ScrambledOrder, PutsNeighboursFarApart) {
  ScrambledOrder order(1 << 16);
  const std::vector<std::uint32_t> numbers = order.next(1 << 16);
  int near = 0;
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    const auto apart = static_cast<std::int64_t>(numbers[i]) - numbers[i - 1];
    near += apart > -64 && apart < 64 ? 1 : 0;
  }
  // Of numbers in a random order, 127 of 65,536 neighbours are so near.
  EXPECT_LT(near, 2 * 127 + 200);
}

TEST(WorkloadP, HasAnIdOfEachFeatureFromTheIdsOfThatFeature) {
  const IdBatches batches = workload_p({.samples = 5, .features = 3, .rows = 4, .steps = 2});
  EXPECT_EQ(batches.steps(), 2);
  EXPECT_EQ(batches.keys_of(1).size(), 15);
  EXPECT_TRUE(batches.single());
  for (std::int64_t step = 0; step < 2; ++step) {
    for (std::int64_t bag = 0; bag < batches.bags(); ++bag) {
      std::set<Key> ids;
      for (std::int64_t rank = 0; rank < 4; ++rank) {
        ids.insert(workload_key(bag % 3, rank));
      }
      EXPECT_TRUE(ids.contains(batches.keys_of(step)[bag])) << bag;
    }
  }
  EXPECT_EQ(workload_key(0, 7), workload_key(0, 7));
  EXPECT_NE(workload_key(0, 7), workload_key(1, 7));
}

TEST(LeastBytes, AreThoseOfAStepByHand) {
  // 10 ids of 4 keys, rows of 2 floats with a state of 4. Dedup: 80 read; 32 + 40 + 40 + 16
  // written.
  const StepShape shape{.ids = 10, .distinct = 4, .dim = 2, .states = 4};
  EXPECT_EQ(least_dedup_bytes(shape), 208);
  // 4 lines of 64 and 4 rows of 8 read; 10 rows of 8 written.
  EXPECT_EQ(least_lookup_bytes(shape), 208 + 256 + 32 + 80);
  // 10 gradients of 8 read; 4 rows of 24 read and written.
  EXPECT_EQ(least_train_bytes(shape), 208 + 256 + 32 + 80 + 80 + 192);
}

}  // namespace
}  // namespace keyshard
