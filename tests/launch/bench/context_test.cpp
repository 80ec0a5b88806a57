// The context of measures: names, the steps that a race makes and times, the workloads of ranks;
// and the counts of a CountingCommunicator.
#include "launch/bench/context.hpp"

#include <set>

#include <gtest/gtest.h>

#include "launch/bench/counting_communicator.hpp"
#include "launch/bench/measures.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::run_ranks;

BenchCommand quick(std::int64_t steps, std::int64_t warmup, std::int64_t rounds = 1) {
  BenchCommand command;
  command.quick = true;
  command.steps = steps;
  command.warmup = warmup;
  command.rounds = rounds;
  return command;
}

/// Runs `body` with a context of each rank.
void with_context(int ranks, const BenchCommand& command,
                  const std::function<void(BenchContext&)>& body) {
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    BenchReport report({1, ranks, {}, "", false}, "", true);
    BenchContext context(command, communicator, stream, report);
    body(context);
  });
}

TEST(BenchContext, NamesItselfWithVariantAndRanks) {
  with_context(1, quick(1, 0), [](BenchContext& context) {
    EXPECT_EQ(context.own_name(), "keyshard");
    EXPECT_EQ(context.own_name("reduced"), "keyshard-reduced");
  });
  with_context(2, quick(1, 0), [](BenchContext& context) {
    EXPECT_EQ(context.own_name(), "keyshard-2rank");
    EXPECT_EQ(context.own_name("reduced"), "keyshard-reduced-2rank");
  });
}

TEST(BenchContext, TimesTheLastStepsAndAtMostTwoThirdsOfThem) {
  struct Case {
    std::int64_t steps, timed, warmup, first, first_timed;
  };

  for (const Case& c : {Case{100, 60, 10, 30, 40}, Case{100, 10, 5, 85, 90},
                        Case{30, 60, 10, 0, 10}, Case{30, 60, 4, 6, 10}, Case{1, 60, 10, 0, 0}}) {
    with_context(1, quick(c.timed, c.warmup), [&](BenchContext& context) {
      EXPECT_EQ(context.first_step(c.steps), c.first) << c.steps;
      EXPECT_EQ(context.first_timed_step(c.steps), c.first_timed) << c.steps;
    });
  }
}

TEST(BenchContext, ContendersTakeTurnsRoundByRound) {
  with_context(1, quick(2, 1, 2), [](BenchContext& context) {
    std::vector<std::string> calls;
    const auto contender = [&](const char* name) {
      return Contender{name, [&calls, name](std::int64_t step) {
                         calls.push_back(name + std::to_string(step));
                       }};
    };
    const std::vector<BenchResult> results =
        context.race("W1 lookup", 6, {contender("a"), contender("b")});

    const std::vector<std::string> round{"a3", "a4", "a5", "b3", "b4", "b5"};
    std::vector<std::string> expected = round;
    expected.insert(expected.end(), round.begin(), round.end());
    EXPECT_EQ(calls, expected);
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[0].peer, "a");
    EXPECT_EQ(results[1].measure, "W1 lookup");
    ASSERT_EQ(results[0].rounds.size(), 2u);
    EXPECT_EQ(results[0].rounds[0].n, 2);  // the warm-up is not timed
  });
}

TEST(BenchContext, ResultsHaveTheWidthThatIsSet) {
  with_context(1, quick(1, 0), [](BenchContext& context) {
    EXPECT_EQ(context.dim(), 16);
    context.set_dim(64);
    const auto results = context.race("x", 1, {{"a", [](std::int64_t) {}}});
    EXPECT_EQ(results[0].dim, 64);
  });
}

TEST(BenchContext, AWorkloadIsMadeOnceAndHasTheStepsOfAQuickRun) {
  with_context(1, quick(2, 1), [](BenchContext& context) {
    const IdBatches& batches = context.whole("W1");
    EXPECT_EQ(batches.name, "W1");
    EXPECT_EQ(batches.steps(), 2 + 1 + 6);
    EXPECT_EQ(&context.whole("W1"), &batches);
    EXPECT_EQ(&context.own("W1"), &batches);
  });
}

TEST(BenchContext, EachRankHasItsOwnSamplesOfAWorkload) {
  with_context(2, quick(1, 0), [](BenchContext& context) {
    const IdBatches& whole = context.whole("W1");
    const IdBatches& own = context.own("W1");
    EXPECT_EQ(own.samples * 2, whole.samples);
    const std::int64_t first = context.communicator().rank() * own.samples * own.features;
    EXPECT_EQ(own.keys_of(0)[0], whole.keys_of(0)[static_cast<std::size_t>(first)]);
    EXPECT_EQ(&context.own("W1"), &own);
  });
}

TEST(BenchContext, WaitsForNobodyInAQuickRun) {
  with_context(1, quick(1, 0), [](BenchContext& context) { EXPECT_EQ(context.wait_quiet(), 0); });
}

TEST(BenchContext, SecondsAreThoseOfTheCall) {
  with_context(2, quick(1, 0), [](BenchContext& context) {
    int calls = 0;
    EXPECT_GE(context.seconds_of([&] { ++calls; }), 0);
    EXPECT_EQ(calls, 1);
  });
}

TEST(Measures, HaveNamesOfTheirOwnAndSayWhatTheyAre) {
  std::set<std::string> names;
  for (const NamedMeasure& measure : all_measures()) {
    EXPECT_TRUE(names.insert(measure.name).second) << measure.name;
    EXPECT_FALSE(measure.what.empty()) << measure.name;
    EXPECT_NE(measure.run, nullptr) << measure.name;
  }
}

TEST(CountingCommunicator, CountsWhatGoesToOtherRanksAlone) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CountingCommunicator counting(communicator);
    // Rank r sends r + to bytes to rank `to`; rank 0 sends itself nothing.
    const std::int64_t rank = counting.rank();
    const std::vector<std::int64_t> send_bytes{rank, rank + 1, rank + 2};
    const std::vector<std::int64_t> receive_bytes{rank, 1 + rank, 2 + rank};
    std::vector<std::byte> send(static_cast<std::size_t>(3 * rank + 3)), receive(send.size());
    for (int round = 1; round <= 2; ++round) {
      counting.all_to_all(stream, send, send_bytes, receive, receive_bytes);
      // All but the part to itself, which has 2 r bytes.
      EXPECT_EQ(counting.bytes(), round * (rank + 3));
      EXPECT_EQ(counting.messages(), round * 2);
    }
    counting.barrier();
    counting.gather_values(7);
    EXPECT_EQ(counting.bytes(), 2 * (rank + 3));
  });
}

}  // namespace
}  // namespace keyshard
