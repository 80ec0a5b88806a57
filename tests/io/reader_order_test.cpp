// The order of records: the same on any number of ranks, every record once, resumed exactly.
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/io/read_data.hpp"
#include "tests/support/counts.hpp"

namespace keyshard::testing {
namespace {

constexpr std::int64_t kRecords = 1003;

/// Three columns: the number of the record, a number, and a list of 0 to 3 ids. In two files.
DataOptions numbered_text() {
  std::string first, second;
  for (std::int64_t i = 0; i < kRecords; ++i) {
    std::string line = fmt::format("{},{},", i, i % 7);
    for (std::int64_t k = 0; k < i % 4; ++k) {
      line += fmt::format("{}{}", k == 0 ? "" : " ", i * 10 + k);
    }
    (i < 400 ? first : second) += line + "\n";
  }
  DataOptions options;
  options.train = {write_text("a.csv", first), write_text("b.csv", second)};
  options.columns = {make_column("number", 0, ColumnRole::label),
                     make_column("x", 1, ColumnRole::dense), make_column("c", 2, ColumnRole::ids)};
  options.columns[2].list_separator = " ";
  options.columns[2].integer = true;
  options.block_bytes = 777;
  options.window = 13;
  return options;
}

ReadPlan plan_of(std::int64_t slices, std::int64_t batch_size = 64) {
  ReadPlan plan;
  plan.batch_size = batch_size;
  plan.slices = slices;
  plan.seed = 5;
  return plan;
}

std::vector<DataOptions> all_forms() {
  std::vector<DataOptions> forms{numbered_text(), numbered_text(), DataOptions()};
  forms[1].order = ReadOrder::stream;
  forms[2].format = DataFormat::generated;
  forms[2].generator.records = kRecords;
  forms[2].generator.ragged = 3;
  return forms;
}

TEST(ReaderOrder, IsTheSameOnAnyNumberOfRanks) {
  for (const DataOptions& options : all_forms()) {
    for (const std::int64_t slices : {4, 16}) {
      const auto expected =
          read_steps(options, Split::train, plan_of(slices), 1, {.steps = 20, .from = {}});
      for (const int ranks : testing::rank_counts({2, 3, 5, 8})) {
        EXPECT_EQ(
            read_steps(options, Split::train, plan_of(slices), ranks, {.steps = 20, .from = {}}),
            expected)
            << ranks << " ranks, " << slices << " slices";
      }
    }
  }
}

TEST(ReaderOrder, HasEveryRecordOnceInAnEpochAndAShortLastStep) {
  for (const DataOptions& options : all_forms()) {
    const auto steps = read_steps(options, Split::train, plan_of(4), 2);
    ASSERT_EQ(steps.size(), 16u);  // 15 of 64, and 43
    std::set<std::int64_t> seen;
    for (std::size_t s = 0; s < steps.size(); ++s) {
      EXPECT_EQ(steps[s].size(), s < 15 ? 64u : 43u);
      for (const auto& [number, sample] : steps[s]) {
        EXPECT_TRUE(seen.insert(sample.record).second);
      }
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(kRecords));
    EXPECT_EQ(*seen.rbegin(), kRecords - 1);
  }
}

TEST(ReaderOrder, DropsTheShortStepOrJoinsOneOfLessThanASampleForEachSlice) {
  for (const DataOptions& options : all_forms()) {
    ReadPlan plan = plan_of(4);
    plan.drop_last = true;
    const auto dropped = read_steps(options, Split::train, plan, 2);
    ASSERT_EQ(dropped.size(), 15u);
    EXPECT_EQ(dropped.back().size(), 64u);
    // 1003 = 10 * 100 + 3
    const auto joined = read_steps(options, Split::train, plan_of(4, 100), 3);
    ASSERT_EQ(joined.size(), 10u);
    EXPECT_EQ(joined.back().size(), 103u);
  }
}

TEST(ReaderOrder, GoesOnInTheMiddleOfAnEpochWithAnotherNumberOfRanks) {
  for (const DataOptions& options : all_forms()) {
    const auto whole = read_steps(options, Split::train, plan_of(16), 3, {.steps = 40, .from = {}});
    for (const std::int64_t at : {1, 9, 16, 21}) {
      ReaderPosition position;
      read_steps(options, Split::train, plan_of(16), 3,
                 {.steps = at, .from = {}, .seek = false, .read_ahead = 3}, &position);
      for (const int ranks : testing::rank_counts({1, 2, 5})) {
        const auto rest = read_steps(
            options, Split::train, plan_of(16), ranks,
            {.steps = 40 - at, .from = position, .seek = true, .read_ahead = ranks == 5 ? 2 : 0});
        EXPECT_EQ(rest, std::vector<StepSamples>(whole.begin() + at, whole.end())) << at;
      }
    }
  }
}

std::vector<std::int64_t> records_of(const std::vector<StepSamples>& steps) {
  std::vector<std::int64_t> records;
  for (const StepSamples& step : steps) {
    for (const auto& [number, sample] : step) {
      records.push_back(sample.record);
    }
  }
  return records;
}

TEST(ReaderOrder, GoesOnInTheMiddleOfAnEpochWithAnotherBatchSize) {
  for (const DataOptions& options : all_forms()) {
    ReaderPosition begun, later;
    const auto before =
        read_steps(options, Split::train, plan_of(4), 3,
                   {.steps = 5, .from = {}, .seek = false, .read_ahead = 2}, &begun);
    for (const std::int64_t batch_size : {32, 160}) {
      // 1003 - 5 * 64 = 683 = 21 * 32 + 11 = 4 * 160 + 43
      const ReadPlan plan = plan_of(4, batch_size);
      const std::size_t full = batch_size == 32 ? 21 : 4, rest = batch_size == 32 ? 11 : 43;
      const auto after = read_steps(options, Split::train, plan, 1, {.from = begun, .seek = true});
      ASSERT_EQ(after.size(), full + 1);
      EXPECT_EQ(after.back().size(), rest);
      std::vector<std::int64_t> seen = records_of(before);
      const std::vector<std::int64_t> others = records_of(after);
      seen.insert(seen.end(), others.begin(), others.end());
      EXPECT_EQ(seen.size(), static_cast<std::size_t>(kRecords));
      EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.end()).size(), seen.size());

      // Resumed on three ranks, stopped again, and read into the next epoch, which has the new
      // batch size from its start.
      const auto three =
          read_steps(options, Split::train, plan, 5,
                     {.steps = 3, .from = begun, .seek = true, .read_ahead = 2}, &later);
      EXPECT_EQ(three, std::vector<StepSamples>(after.begin(), after.begin() + 3));
      const auto two_epochs = read_steps(options, Split::train, plan, 1,
                                         {.steps = 2 * kRecords / batch_size, .from = {}});
      const auto left = static_cast<std::int64_t>(full) - 2;
      const auto on = read_steps(options, Split::train, plan, 2,
                                 {.steps = left + 2, .from = later, .seek = true});
      EXPECT_TRUE(std::equal(after.begin() + 3, after.end(), on.begin()));
      const auto epoch = (kRecords + batch_size - 1) / batch_size;
      EXPECT_TRUE(std::equal(on.begin() + left, on.end(), two_epochs.begin() + epoch));
    }
  }
}

TEST(ReaderOrder, ShufflesByTheSeedAndTheEpoch) {
  for (const DataOptions& options : all_forms()) {
    const auto steps = read_steps(options, Split::train, plan_of(4), 1, {.steps = 32, .from = {}});
    ReadPlan other = plan_of(4);
    other.seed = 6;
    EXPECT_NE(steps[0], steps[16]);
    EXPECT_NE(steps[0], read_steps(options, Split::train, other, 1, {.steps = 1, .from = {}})[0]);
    other.shuffle = false;
    // Slice 0 reads its run in input order.
    const StepSamples first =
        read_steps(options, Split::train, other, 1, {.steps = 1, .from = {}})[0];
    for (std::int64_t i = 0; i < 16; ++i) {
      EXPECT_EQ(first.at(i).record, i);
    }
  }
}

TEST(ReaderOrder, ReadsWhatTheLinesSay) {
  const std::vector<Sample> samples = read_in_order(numbered_text());
  ASSERT_EQ(samples.size(), static_cast<std::size_t>(kRecords));
  for (std::int64_t i = 0; i < kRecords; ++i) {
    const Sample& sample = samples[static_cast<std::size_t>(i)];
    std::vector<Key> ids;
    for (std::int64_t k = 0; k < i % 4; ++k) {
      ids.push_back(static_cast<Key>(i * 10 + k));
    }
    EXPECT_EQ(sample, (Sample{i, static_cast<float>(i), 1, {static_cast<float>(i % 7)}, {ids}}));
  }
}

TEST(ReaderOrder, RefusesAPositionOfOtherData) {
  ReaderPosition position{0, 3, {1, 2, 3, 4}};
  EXPECT_ANY_THROW(read_steps(numbered_text(), Split::train, plan_of(4), 1,
                              {.steps = 1, .from = position, .seek = true}));
  for (const std::vector<std::int64_t>& consumed : {std::vector<std::int64_t>{16, 16, 16},
                                                    {251, 251, 251, 251},
                                                    {-1, -1, -1, -1},
                                                    {253, 250, 250, 250}}) {
    position.consumed = consumed;
    EXPECT_ANY_THROW(read_steps(numbered_text(), Split::train, plan_of(4), 1,
                                {.steps = 1, .from = position, .seek = true}));
  }
}

}  // namespace
}  // namespace keyshard::testing
