// Text files: line ends, empty lines, several files, and the messages about bad lines and files.
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "io/make_reader.hpp"
#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

DataOptions numbers_of(std::vector<std::string> files) {
  DataOptions options;
  options.train = std::move(files);
  options.columns = {make_column("y", 0, ColumnRole::label), make_column("c", 1, ColumnRole::id)};
  options.columns[1].integer = true;
  return options;
}

std::vector<float> labels_of(const std::vector<Sample>& samples) {
  std::vector<float> labels;
  for (const Sample& sample : samples) {
    labels.push_back(sample.label);
  }
  return labels;
}

/// Both ways to read text.
std::vector<DataOptions> both_orders(DataOptions options) {
  std::vector<DataOptions> all{options, options};
  all[1].order = ReadOrder::stream;
  return all;
}

TEST(TextReader, TakesAnyLineEndsAndNoEmptyLines) {
  const DataOptions options =
      numbers_of({write_text("a", "1,1\r\n\r\n2,1\n\n\n3,1"), write_text("b", "\n4,1\n5,1\r\n")});
  for (const DataOptions& form : both_orders(options)) {
    EXPECT_EQ(labels_of(read_in_order(form)), (std::vector<float>{1, 2, 3, 4, 5}));
  }
}

TEST(TextReader, CountsBlocksThatCutRecordsAnywhere) {
  std::string text;
  std::vector<float> expected;
  for (std::int64_t i = 0; i < 60; ++i) {
    text += fmt::format("{},{}{}", i, std::string(static_cast<std::size_t>(i % 13 + 1), '7'),
                        i % 5 == 0 ? "\r\n" : "\n");
    expected.push_back(static_cast<float>(i));
  }
  DataOptions options = numbers_of({write_text("a", text)});
  for (options.block_bytes = 1; options.block_bytes < 70; ++options.block_bytes) {
    ASSERT_EQ(labels_of(read_in_order(options)), expected) << options.block_bytes;
  }
}

TEST(TextReader, SkipsLinesAndFindsColumnsByName) {
  DataOptions options = numbers_of({write_text("a", "# made by hand\n\"c\",z,y\n7,x,1\n8,x,2\n"),
                                    write_text("b", "# made by hand\ny,c,z\n3,9,x\n")});
  options.header = true;
  options.quote = true;
  options.skip_lines = 1;
  options.columns[0].index = -1;
  options.columns[1].index = -1;
  for (const DataOptions& form : both_orders(options)) {
    const std::vector<Sample> samples = read_in_order(form);
    EXPECT_EQ(labels_of(samples), (std::vector<float>{1, 2, 3}));
    EXPECT_EQ(samples[2].bags[0][0], 9u);
  }
}

TEST(TextReader, NamesFileAndLineOfABadLine) {
  const std::string path = write_text("bad.csv", "1,1\n\n2,x\n3,1\n");
  for (const DataOptions& form : both_orders(numbers_of({path}))) {
    EXPECT_EQ(complaint(form), path +
                                   ":3: column \"c\": expected an integer of 64 bits: found \"x\" "
                                   "(bad lines: 1, allowed: 0)");
  }
  EXPECT_EQ(
      complaint(numbers_of({write_text("short", "1,1\n2\n")})),
      fmt::format("{0}:2: expected 2 cells as in the first record, {0}:1: found 1 (bad lines: "
                  "1, allowed: 0)",
                  std::filesystem::path(path).replace_filename("short").string()));
}

TEST(TextReader, LeavesHolesForBadLinesThatAreAllowed) {
  DataOptions options = numbers_of({write_text("a", "1,1\n2,x\n3,1\ny,1\n5,1\n6,1\n")});
  options.max_bad_lines = 2;
  for (const DataOptions& form : both_orders(options)) {
    ReadPlan plan;
    plan.batch_size = 3;
    plan.slices = 1;
    plan.shuffle = false;
    // The limit holds for each epoch, so a second epoch succeeds too.
    const auto steps = read_steps(form, Split::train, plan, 1, {.steps = 4, .from = {}});
    ASSERT_EQ(steps[2].size(), 2u);
    EXPECT_EQ(steps[0].at(0).label, 1);
    EXPECT_EQ(steps[0].at(2).label, 3);
    EXPECT_EQ(steps[0].at(2).record, 2);
    EXPECT_EQ(steps[1].at(1).record, 4);
  }
}

TEST(TextReader, RefusesEmptyBinaryAndMissingFiles) {
  const std::string empty = write_text("empty", ""), lines = write_text("lines", "\n\n");
  const std::string binary = write_text("binary", std::string("1,1\n1,\0x\n", 9));
  for (const DataOptions& form : both_orders(numbers_of({empty, lines}))) {
    EXPECT_NE(complaint(form).find(empty + ": expected records: found none"), std::string::npos);
  }
  EXPECT_NE(complaint(numbers_of({lines})).find(lines + ": expected records"), std::string::npos);
  for (const DataOptions& form : both_orders(numbers_of({binary}))) {
    EXPECT_NE(complaint(form).find(binary + ":2: expected text: found a NUL byte"),
              std::string::npos)
        << complaint(form);
  }
  for (const DataOptions& form : both_orders(numbers_of({"/nowhere/a"}))) {
    EXPECT_NE(complaint(form).find("/nowhere/a: expected a readable file"), std::string::npos);
  }
  EXPECT_NE(complaint(numbers_of({"/tmp"})).find("expected a regular file"), std::string::npos);
}

TEST(TextReader, SkipsFilesWithoutRecordsWhereverTheyStand) {
  const std::string empty = write_text("empty", ""), lines = write_text("lines", "\n\n");
  for (const DataOptions& form : both_orders(
           numbers_of({empty, write_text("a", "1,1\n"), lines, write_text("b", "2,1\n"), empty}))) {
    EXPECT_EQ(labels_of(read_in_order(form)), (std::vector<float>{1, 2}));
  }
}

TEST(TextReader, DropsAByteOrderMarkAtTheStartOfEveryFile) {
  const std::string mark = "\xEF\xBB\xBF";
  for (const DataOptions& form :
       both_orders(numbers_of({write_text("a", mark + "1,1\n2,1\n"), write_text("b", "3,1\n"),
                               write_text("c", mark + "4,1\n")}))) {
    EXPECT_EQ(labels_of(read_in_order(form)), (std::vector<float>{1, 2, 3, 4}));
  }
  DataOptions options = numbers_of({write_text("d", mark + "y,c\n5,1\n")});
  options.header = true;
  options.columns[0].index = options.columns[1].index = -1;
  options.columns[0].name = "y";
  options.columns[1].name = "c";
  for (const DataOptions& form : both_orders(options)) {
    EXPECT_EQ(labels_of(read_in_order(form)), std::vector<float>{5});
  }
}

TEST(TextReader, ReadsMoreFilesThanAProcessMayOpen) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<std::string> files;
  for (int i = 0; i < 300; ++i) {
    files.push_back(write_text(fmt::format("part-{:03}", i), fmt::format("{},1\n", i)));
  }
  const rlimit few = {128, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<float> labels;
  for (const DataOptions& form : both_orders(numbers_of(files))) {
    labels = labels_of(read_in_order(form));
    ASSERT_EQ(labels.size(), 300u);
    EXPECT_EQ(labels[299], 299);
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(TextReader, SaysWhichColumnAHeaderLacks) {
  const std::string path = write_text("a", "label,user,item\n1,2,3\n");
  DataOptions options = numbers_of({path});
  options.header = true;
  options.columns[0] = make_column("label", -1, ColumnRole::label);
  options.columns[1] = make_column("usr", -1, ColumnRole::id);
  for (const DataOptions& form : both_orders(options)) {
    EXPECT_NE(complaint(form).find(path + ":1: expected a column \"usr\" in the header"),
              std::string::npos);
    EXPECT_NE(complaint(form).find("did you mean \"user\"?"), std::string::npos);
  }
}

TEST(TextReader, FailsOnAllRanksWhereOneSeesOtherFiles) {
  const std::string a = write_text("a", "1,1\n2,1\n"), b = write_text("b", "1,1\n2,1\n3,1\n");
  for (const ReadOrder order : {ReadOrder::blocks, ReadOrder::stream}) {
    run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      DataOptions options = numbers_of({communicator.rank() == 0 ? a : b});
      options.order = order;
      ReadPlan plan;
      plan.batch_size = plan.slices = 2;
      try {
        make_reader(options, Split::train, plan, communicator, stream);
        ADD_FAILURE() << "no error";
      } catch (const Error& error) {
        EXPECT_NE(error.text().find("expected the same files on all ranks"), std::string::npos);
      }
      options.train = {communicator.rank() == 0 ? a : "/nowhere/a"};
      try {
        make_reader(options, Split::train, plan, communicator, stream);
        ADD_FAILURE() << "no error";
      } catch (const Error& error) {
        EXPECT_NE(error.text().find("rank 1: /nowhere/a"), std::string::npos);
      }
    });
  }
}

}  // namespace
}  // namespace keyshard::testing
