// Which reader a configuration makes, and the error where it makes none; generated records as
// functions of their number; times of checkpoints.
#include "io/make_reader.hpp"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "io/checkpoint_times.hpp"
#include "io/generated_reader.hpp"
#include "io/text_files.hpp"
#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::complaint;
using testing::make_column;
using testing::read_steps;
using testing::run_ranks;
using testing::ScratchFolder;

DataOptions text_of(const std::string& path) {
  DataOptions options;
  options.train = {path};
  options.columns = {make_column("y", 0, ColumnRole::label)};
  return options;
}

ReadPlan plan_of(std::int64_t slices, std::int64_t batch_size, bool shuffle = true) {
  ReadPlan plan;
  plan.slices = slices;
  plan.batch_size = batch_size;
  plan.shuffle = shuffle;
  return plan;
}

std::string numbers(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += std::to_string(i) + "\n";
  }
  return text;
}

TEST(MakeReader, SplitsWithoutFilesAreRefusedByName) {
  for (const DataFormat format : {DataFormat::text, DataFormat::packed}) {
    DataOptions options;
    options.format = format;
    EXPECT_NE(complaint(options).find("expected files of the train data: found none"),
              std::string::npos)
        << complaint(options);
  }
}

TEST(MakeReader, ShufflesOnlyWhereBothPlanAndOptionsWantIt) {
  const ScratchFolder folder;
  DataOptions options = text_of(folder.write("a.csv", numbers(200)));
  options.block_bytes = 64;
  const auto labels = [&](bool shuffle, bool plan_shuffle) {
    options.shuffle = shuffle;
    std::vector<float> all;
    for (const auto& step : read_steps(options, Split::train, plan_of(1, 50, plan_shuffle), 1)) {
      for (const auto& [number, sample] : step) {
        all.push_back(sample.label);
      }
    }
    return all;
  };
  std::vector<float> input_order;
  for (int i = 0; i < 200; ++i) {
    input_order.push_back(static_cast<float>(i));
  }
  EXPECT_EQ(labels(false, false), input_order);
  EXPECT_EQ(labels(true, false), input_order);
  EXPECT_EQ(labels(false, true), input_order);
  EXPECT_NE(labels(true, true), input_order);
}

TEST(MakeReader, SaysTheOrderThatItReadsIn) {
  const ScratchFolder folder;
  DataOptions options = text_of(folder.write("a.csv", numbers(20)));
  for (const auto& [asked, found] : {std::pair(ReadOrder::automatic, ReadOrder::blocks),
                                     std::pair(ReadOrder::blocks, ReadOrder::blocks),
                                     std::pair(ReadOrder::stream, ReadOrder::stream)}) {
    options.order = asked;
    run_ranks(1, 1, [&, expected = found](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      const auto reader = make_reader(options, Split::train, plan_of(2, 4), communicator, stream);
      EXPECT_EQ(reader->order(), expected);
      EXPECT_EQ(reader->records(), 20);
    });
  }
}

TEST(MakeReader, ABatchSizeThatIsNoMultipleOfTheSlicesIsRefused) {
  const ScratchFolder folder;
  const DataOptions options = text_of(folder.write("a.csv", numbers(20)));
  EXPECT_THROW(read_steps(options, Split::train, plan_of(4, 6), 1), Error);
}

TEST(IsPipe, KnowsPipesFilesAndStandardInput) {
  const ScratchFolder folder;
  ASSERT_EQ(mkfifo(folder.path("pipe").c_str(), 0600), 0);
  EXPECT_TRUE(is_pipe(folder.path("pipe")));
  EXPECT_TRUE(is_pipe("-"));
  EXPECT_FALSE(is_pipe(folder.write("file", "x")));
  EXPECT_FALSE(is_pipe(folder.path("file!entry")));  // the file that holds the entry
  try {
    is_pipe(folder.path("none"));
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    EXPECT_EQ(folder.without_path(error.text()),
              "none: expected a readable file: No such file or directory");
  }
}

GeneratorOptions small_log() {
  GeneratorOptions options;
  options.records = 300;
  options.valid_records = 70;
  options.features = 6;
  options.ragged = 2;
  options.dense = 5;
  options.vocabulary = 20;
  return options;
}

TEST(ClickGenerator, RecordsHaveTheShapeOfTheirOptions) {
  const ClickGenerator generator(small_log());
  GeneratedRecord record;
  std::vector<int> counts(9);
  for (std::int64_t i = 0; i < 300; ++i) {
    generator.make(Split::train, i, record);
    ASSERT_EQ(record.dense.size(), 5u);
    ASSERT_EQ(record.id_counts.size(), 6u);
    std::int64_t ids = 0;
    for (std::size_t f = 0; f < 6; ++f) {
      ASSERT_TRUE(f < 4 ? record.id_counts[f] == 1
                        : 0 <= record.id_counts[f] && record.id_counts[f] <= 8);
      ids += record.id_counts[f];
    }
    ++counts[static_cast<std::size_t>(record.id_counts[5])];
    ASSERT_EQ(record.ids.size(), static_cast<std::size_t>(ids));
    ASSERT_TRUE(record.label == 0 || record.label == 1);
  }
  EXPECT_EQ(std::count(counts.begin(), counts.end(), 0), 0) << "some length of lists never comes";
}

TEST(ClickGenerator, ARecordIsAFunctionOfSeedSplitAndNumber) {
  GeneratorOptions options = small_log();
  const ClickGenerator one(options), same(options);
  options.seed = 2;
  const ClickGenerator other(options);
  GeneratedRecord a, b;
  const auto alike = [&](const ClickGenerator& left, Split l, std::int64_t i,
                         const ClickGenerator& right, Split r, std::int64_t j) {
    left.make(l, i, a);
    right.make(r, j, b);
    return a.ids == b.ids && a.dense == b.dense && a.label == b.label && a.logit == b.logit;
  };
  // In any order, and after others.
  EXPECT_TRUE(alike(one, Split::train, 7, same, Split::train, 7));
  EXPECT_TRUE(alike(one, Split::train, 3, same, Split::train, 3));
  EXPECT_FALSE(alike(one, Split::train, 3, one, Split::train, 4));
  EXPECT_FALSE(alike(one, Split::train, 3, one, Split::valid, 3));
  EXPECT_FALSE(alike(one, Split::train, 3, other, Split::train, 3));
}

TEST(ClickGenerator, TestHasTheSizeOfValid) {
  const ClickGenerator generator(small_log());
  EXPECT_EQ(generator.records(Split::train), 300);
  EXPECT_EQ(generator.records(Split::valid), 70);
  EXPECT_EQ(generator.records(Split::test), 70);
}

TEST(ClickGenerator, TextThatCannotBeWrittenIsNamed) {
  const ScratchFolder folder;
  try {
    write_generated_text(small_log(), Split::valid, folder.path("none/a.tsv"));
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::io);
    EXPECT_EQ(folder.without_path(error.text()).find("none/a.tsv"), 0u) << error.text();
  }
}

TEST(TimedPart, AddsTheTimeOfItsScopeFromAnyThread) {
  CheckpointTimes times;
  {
    const TimedPart timed(times.copy);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_GE(times.copy, 5'000'000);
  EXPECT_EQ(times.write, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const TimedPart timed(times.write);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_GE(times.write, 20'000'000);
}

}  // namespace
}  // namespace keyshard
