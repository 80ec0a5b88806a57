// The order of records and how they are dealt to steps, against plain definitions: every record of
// an epoch once, in steps of the batch size, whatever the blocks, slices and batch sizes are.
#include "io/record_order.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

ReadPlan plan_of(std::int64_t slices, std::int64_t batch_size, bool shuffle = true) {
  ReadPlan plan;
  plan.batch_size = batch_size;
  plan.slices = slices;
  plan.seed = 17;
  plan.shuffle = shuffle;
  return plan;
}

/// The records of an epoch's order one by one, as (block, record of the block).
std::vector<std::pair<std::int64_t, std::int64_t>> listed(const std::vector<BlockPiece>& pieces) {
  std::vector<std::pair<std::int64_t, std::int64_t>> records;
  for (const BlockPiece& piece : pieces) {
    EXPECT_GT(piece.count, 0) << "an empty piece";
    for (std::int64_t i = 0; i < piece.count; ++i) {
      records.emplace_back(piece.block, piece.first + i);
    }
  }
  return records;
}

std::vector<std::int64_t> random_blocks(std::mt19937& random) {
  std::vector<std::int64_t> blocks(1 + random() % 20);
  for (std::int64_t& records : blocks) {
    records = random() % 4 == 0 ? 0 : random() % 9;  // blocks without a record are legal
  }
  return blocks;
}

std::int64_t total(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

TEST(EpochOrder, WithoutAShuffleIsInputOrder) {
  const EpochOrder order({2, 0, 3}, plan_of(1, 1, false), 5);

  EXPECT_EQ(listed(order.pieces(0, 5)), (std::vector<std::pair<std::int64_t, std::int64_t>>{
                                            {0, 0}, {0, 1}, {2, 0}, {2, 1}, {2, 2}}));
  EXPECT_EQ(listed(order.pieces(1, 3)),
            (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 1}, {2, 0}}));
  EXPECT_TRUE(order.pieces(2, 2).empty());
}

TEST(EpochOrder, HasEveryRecordOnceAndBlocksWhole) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const std::vector<std::int64_t> blocks = random_blocks(random);
    const EpochOrder order(blocks, plan_of(1, 1), seed);
    const auto all = listed(order.pieces(0, total(blocks)));

    ASSERT_EQ(all.size(), static_cast<std::size_t>(total(blocks))) << "seed " << seed;
    std::map<std::int64_t, std::int64_t> next;  // record of each block
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto [block, record] = all[i];
      ASSERT_EQ(record, next[block]++) << "seed " << seed;
      ASSERT_TRUE(record == 0 || all[i - 1].first == block) << "seed " << seed;
    }
  }
}

TEST(EpochOrder, AnyPartIsThatPartOfTheWhole) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const std::vector<std::int64_t> blocks = random_blocks(random);
    const std::int64_t n = total(blocks);
    const EpochOrder order(blocks, plan_of(1, 1), 0);
    const auto all = listed(order.pieces(0, n));
    for (int i = 0; i < 20; ++i) {
      const std::int64_t a = random() % static_cast<unsigned>(n + 1);
      const std::int64_t b = random() % static_cast<unsigned>(n + 1);
      const auto [begin, end] = std::minmax(a, b);
      ASSERT_EQ(listed(order.pieces(begin, end)),
                (std::vector(all.begin() + begin, all.begin() + end)))
          << "seed " << seed << ", " << begin << " to " << end;
    }
  }
}

TEST(EpochOrder, DependsOnSeedAndEpochAlone) {
  const std::vector<std::int64_t> blocks(50, 1);
  const auto order = [&](std::uint64_t seed, std::int64_t epoch, std::int64_t slices) {
    ReadPlan plan = plan_of(slices, slices);
    plan.seed = seed;
    return listed(EpochOrder(blocks, plan, epoch).pieces(0, 50));
  };

  EXPECT_EQ(order(1, 0, 4), order(1, 0, 16));
  EXPECT_NE(order(1, 0, 4), order(1, 1, 4));
  EXPECT_NE(order(1, 0, 4), order(2, 0, 4));
}

TEST(EpochOrder, BringsEveryBlockToTheFrontAboutEquallyOften) {
  constexpr int kBlocks = 8, kEpochs = 4000;
  std::vector<int> first(kBlocks);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const EpochOrder order(std::vector<std::int64_t>(kBlocks, 1), plan_of(1, 1), epoch);
    ++first[static_cast<std::size_t>(order.pieces(0, 1).front().block)];
  }
  for (const int count : first) {
    // Expected 500, deviation sqrt(4000 / 8 * 7 / 8) = 21; five deviations.
    EXPECT_NEAR(count, 500, 105);
  }
}

TEST(WindowOrder, IsAPermutationAndInputOrderWithoutAShuffle) {
  for (std::int64_t count = 0; count <= 200; ++count) {
    std::vector<std::uint32_t> sorted = window_order(plan_of(4, 4), 1, 2, 3, count);
    std::sort(sorted.begin(), sorted.end());
    std::vector<std::uint32_t> expected(static_cast<std::size_t>(count));
    std::iota(expected.begin(), expected.end(), 0u);
    ASSERT_EQ(sorted, expected);
    ASSERT_EQ(window_order(plan_of(4, 4, false), 1, 2, 3, count), expected);
  }
}

TEST(WindowOrder, IsAnotherOneForEverySeedEpochSliceAndWindow) {
  const ReadPlan plan = plan_of(4, 4);
  ReadPlan other = plan;
  other.seed = 18;
  const auto order = window_order(plan, 1, 2, 3, 40);

  EXPECT_EQ(window_order(plan, 1, 2, 3, 40), order);
  EXPECT_NE(window_order(plan, 2, 2, 3, 40), order);
  EXPECT_NE(window_order(plan, 1, 3, 3, 40), order);
  EXPECT_NE(window_order(plan, 1, 2, 4, 40), order);
  EXPECT_NE(window_order(other, 1, 2, 3, 40), order);
}

TEST(WindowOrder, GivesEveryPermutationOfThreeAboutEquallyOften) {
  std::map<std::vector<std::uint32_t>, int> counts;
  for (std::int64_t window = 0; window < 6000; ++window) {
    ++counts[window_order(plan_of(4, 4), 0, 0, window, 3)];
  }
  EXPECT_EQ(counts.size(), 6u);
  for (const auto& [order, count] : counts) {
    // Expected 1000, deviation sqrt(6000 / 6 * 5 / 6) = 29; five deviations.
    EXPECT_NEAR(count, 1000, 145);
  }
}

/// A plan, the way records are dealt, and how many there are.
struct Dealt {
  std::int64_t records, slices, batch_size;
  bool drop_last;
  SliceCut cut;

  StepPlan plan(const ReaderPosition& position = {}) const {
    ReadPlan read = plan_of(slices, batch_size);
    read.drop_last = drop_last;
    return StepPlan(records, read, cut, position);
  }

  /// Steps of an epoch: full steps, and a last step for the rest, unless the rest is dropped
  /// (drop_last) or joins the step before because it has fewer samples than there are slices.
  std::int64_t expected_steps() const {
    const std::int64_t full = records / batch_size, rest = records % batch_size;
    const bool own = rest > 0 && (full == 0 || (!drop_last && rest >= slices));
    return full + (own ? 1 : 0);
  }
};

std::ostream& operator<<(std::ostream& out, const Dealt& d) {
  return out << d.records << " records, " << d.slices << " slices, batches of " << d.batch_size
             << (d.drop_last ? ", rest dropped" : "")
             << (d.cut == SliceCut::runs ? ", runs" : ", steps");
}

std::vector<Dealt> many_plans() {
  std::vector<Dealt> plans;
  std::mt19937 random(77);
  for (int i = 0; i < 400; ++i) {
    const std::int64_t records = random() % 150, slices = 1 + random() % 6;
    const std::int64_t share = 1 + random() % 6;
    plans.push_back({records, slices, slices * share, random() % 2 == 0,
                     random() % 2 == 0 ? SliceCut::runs : SliceCut::steps});
  }
  return plans;
}

/// The record that is sample i of a slice in a step, numbered over the whole epoch.
std::int64_t record_of(const Dealt& dealt, const StepPlan& plan, std::int64_t slice,
                       std::int64_t step, std::int64_t i) {
  return dealt.cut == SliceCut::steps
             ? plan.stream_record(slice, step, i)
             : plan.records_of(slice).begin + plan.taken(slice, step).begin + i;
}

/// Adds the records of a step to `seen` and returns their number. Checks their sample numbers.
std::int64_t take_step(const Dealt& dealt, const StepPlan& plan, std::int64_t step,
                       std::vector<int>& seen) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t slice = 0; slice < dealt.slices; ++slice) {
    for (std::int64_t i = 0; i < plan.taken(slice, step).size(); ++i) {
      ++seen.at(static_cast<std::size_t>(record_of(dealt, plan, slice, step, i)));
      numbers.push_back(plan.sample_number(slice, step, i));
    }
  }
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << dealt;
  EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end()) << dealt;
  return static_cast<std::int64_t>(numbers.size());
}

TEST(StepPlan, DealsEveryRecordOnceInStepsOfTheBatchSize) {
  for (const Dealt& dealt : many_plans()) {
    const StepPlan plan = dealt.plan();
    ASSERT_EQ(plan.steps(), dealt.expected_steps()) << dealt;
    ASSERT_EQ(plan.records(), dealt.records);
    std::vector<int> seen(static_cast<std::size_t>(dealt.records));
    for (std::int64_t step = 0; step < plan.steps(); ++step) {
      const std::int64_t samples = take_step(dealt, plan, step, seen);
      if (step + 1 < plan.steps()) {
        ASSERT_EQ(samples, dealt.batch_size) << dealt << ", step " << step;
      }
    }
    const bool dropped = dealt.drop_last && dealt.records >= dealt.batch_size;
    const std::int64_t read =
        dropped ? dealt.records / dealt.batch_size * dealt.batch_size : dealt.records;
    ASSERT_EQ(std::count(seen.begin(), seen.end(), 1), read) << dealt;
    ASSERT_EQ(std::count(seen.begin(), seen.end(), 0), dealt.records - read) << dealt;
  }
}

TEST(StepPlan, GivesEverySliceAboutTheSameInTheLastStep) {
  for (const Dealt& dealt : many_plans()) {
    const StepPlan plan = dealt.plan();
    for (std::int64_t step = 0; step < plan.steps(); ++step) {
      std::int64_t least = dealt.records, most = 0;
      for (std::int64_t slice = 0; slice < dealt.slices; ++slice) {
        least = std::min(least, plan.taken(slice, step).size());
        most = std::max(most, plan.taken(slice, step).size());
      }
      ASSERT_LE(most - least, 1) << dealt << ", step " << step;
    }
  }
}

/// The position after a number of steps of a plan.
ReaderPosition position_after(const Dealt& dealt, const StepPlan& plan, std::int64_t steps) {
  ReaderPosition position{0, steps, {}};
  for (std::int64_t slice = 0; slice < dealt.slices; ++slice) {
    position.consumed.push_back(steps == 0 ? 0 : plan.taken(slice, steps - 1).end);
  }
  return position;
}

TEST(StepPlan, GoesOnFromEveryStepAsIfItHadNotStopped) {
  for (const Dealt& dealt : many_plans()) {
    const StepPlan whole = dealt.plan();
    for (std::int64_t at = 0; at < whole.steps(); ++at) {
      const StepPlan rest = dealt.plan(position_after(dealt, whole, at));
      ASSERT_EQ(rest.steps(), whole.steps()) << dealt << ", from " << at;
      for (std::int64_t step = at; step < whole.steps(); ++step) {
        for (std::int64_t slice = 0; slice < dealt.slices; ++slice) {
          ASSERT_EQ(rest.taken(slice, step), whole.taken(slice, step)) << dealt << ", from " << at;
          ASSERT_EQ(rest.sample_number(slice, step, 0), whole.sample_number(slice, step, 0));
        }
      }
    }
  }
}

TEST(StepPlan, ReadsTheRestInStepsOfAnotherBatchSize) {
  for (const Dealt& dealt : many_plans()) {
    const StepPlan before = dealt.plan();
    const std::int64_t at = before.steps() / 2;
    if (at == 0) {
      continue;
    }
    Dealt other = dealt;
    other.batch_size = dealt.slices * 3;
    other.drop_last = false;
    const StepPlan after = other.plan(position_after(dealt, before, at));
    std::vector<int> seen(static_cast<std::size_t>(dealt.records));
    for (std::int64_t step = 0; step < at; ++step) {
      take_step(dealt, before, step, seen);
    }
    for (std::int64_t step = at; step < after.steps(); ++step) {
      const std::int64_t samples = take_step(other, after, step, seen);
      ASSERT_TRUE(step + 1 == after.steps() || samples == other.batch_size) << dealt;
    }
    ASSERT_EQ(std::count(seen.begin(), seen.end(), 1), dealt.records) << dealt;
  }
}

TEST(StepPlan, RefusesABatchSizeThatIsNoMultipleOfTheSlices) {
  EXPECT_THROW(StepPlan(100, plan_of(4, 6)), Error);
  EXPECT_THROW(StepPlan(100, plan_of(4, 0)), Error);
}

TEST(StepPlan, RefusesPositionsAtWhichNoStepEnds) {
  const Dealt dealt{100, 4, 8, false, SliceCut::runs};
  const std::vector<ReaderPosition> wrong{
      {0, 1, {2, 2, 2}},     // of three slices
      {0, 1, {2, 2, 2, 3}},  // slices that differ in the middle of an epoch
      {0, 1, {-1, -1, -1, -1}},
      {0, 1, {26, 24, 25, 25}},  // all records, but not as slices own them
      {0, 1, {26, 26, 26, 26}}   // more than a slice has
  };
  for (const ReaderPosition& position : wrong) {
    try {
      dealt.plan(position);
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::invalid_argument) << error.text();
    }
  }
}

}  // namespace
}  // namespace keyshard
