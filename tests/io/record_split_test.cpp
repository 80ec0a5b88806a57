// data.split: the records of the training files are dealt to training, validation and test data by
// a hash, each to one, whatever reads them.
#include "io/record_split.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/make_reader.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "runtime/text_keys.hpp"
#include "tests/io/read_data.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr std::int64_t kUsers = 40;

/// Line i: label i, user i % kUsers.
std::string lines_of(std::int64_t records, const std::string& start = "") {
  std::string text = start;
  for (std::int64_t i = 0; i < records; ++i) {
    text += fmt::format("{},u{}\n", i, i % kUsers);
  }
  return text;
}

DataOptions split_of(std::vector<std::string> files) {
  DataOptions options;
  options.train = std::move(files);
  options.columns = {make_column("y", 0, ColumnRole::label),
                     make_column("user", 1, ColumnRole::id)};
  options.split.valid = 0.2;
  options.split.test = 0.1;
  return options;
}

std::vector<std::int64_t> labels_in(const DataOptions& options, Split split) {
  std::vector<std::int64_t> labels;
  for (const Sample& sample : read_in_order(options, split)) {
    labels.push_back(static_cast<std::int64_t>(sample.label));
  }
  return labels;
}

/// The split that the definition gives to the record of a hash.
Split drawn(const SplitOptions& split, std::uint64_t hash) {
  const double number = static_cast<double>(hash >> 11) / 9007199254740992.0;
  return number < split.valid                ? Split::valid
         : number < split.valid + split.test ? Split::test
                                             : Split::train;
}

/// Every way to read text: blocks of some bytes, and streams.
std::vector<DataOptions> all_orders(DataOptions options) {
  std::vector<DataOptions> all(4, options);
  all[1].block_bytes = 64;
  all[2].order = ReadOrder::stream;
  all[3].order = ReadOrder::files;
  return all;
}

TEST(RecordSplit, DealsRecordsByTheirNumberInTheFile) {
  DataOptions options = split_of({write_text("a", lines_of(700)), write_text("b", lines_of(300))});
  options.split.seed = 5;
  for (const Split split : {Split::train, Split::valid, Split::test}) {
    std::vector<std::int64_t> expected;
    for (const auto& [name, records] : {std::pair("a", 700), {"b", 300}}) {
      for (std::int64_t i = 0; i < records; ++i) {
        if (drawn(options.split, hash_of(5, TextKeys()(name), i)) == split) {
          expected.push_back(i);
        }
      }
    }
    for (const DataOptions& form : all_orders(options)) {
      EXPECT_EQ(labels_in(form, split), expected) << name_of(split);
    }
  }
}

TEST(RecordSplit, EveryRecordIsInOneSplitAndTheSharesAreAbout) {
  const DataOptions options = split_of({write_text("a", lines_of(5000))});
  std::vector<std::int64_t> all;
  for (const auto& [split, share] :
       {std::pair(Split::train, 0.7), {Split::valid, 0.2}, {Split::test, 0.1}}) {
    const std::vector<std::int64_t> labels = labels_in(options, split);
    // Four standard deviations of a binomial distribution.
    EXPECT_NEAR(static_cast<double>(labels.size()), 5000 * share,
                4 * std::sqrt(5000 * share * (1 - share)));
    all.insert(all.end(), labels.begin(), labels.end());
  }
  std::sort(all.begin(), all.end());
  std::vector<std::int64_t> expected(5000);
  for (std::int64_t i = 0; i < 5000; ++i) {
    expected[static_cast<std::size_t>(i)] = i;
  }
  EXPECT_EQ(all, expected);
}

TEST(RecordSplit, KeepsRecordsWithEqualCellsTogether) {
  DataOptions options = split_of({write_text("a", lines_of(400)), write_text("b", lines_of(90))});
  options.split.by = {"user"};
  options.split.valid = 0.4;
  for (const DataOptions& form : all_orders(options)) {
    std::map<std::int64_t, std::set<Split>> splits;
    std::int64_t records = 0;
    for (const Split split : {Split::train, Split::valid, Split::test}) {
      for (const std::int64_t label : labels_in(form, split)) {
        splits[label % kUsers].insert(split);
        ++records;
      }
    }
    EXPECT_EQ(records, 490);
    ASSERT_EQ(splits.size(), static_cast<std::size_t>(kUsers));
    for (const auto& [user, found] : splits) {
      EXPECT_EQ(found.size(), 1u) << user;
    }
  }
}

TEST(RecordSplit, CellsDecideWhereverTheirRecordStands) {
  // The columns and the records stand in another order.
  DataOptions options = split_of({write_text("a", "y,user\n1,a\n2,b\n3,c\n4,d\n5,e\n6,f\n7,g\n")});
  options.header = true;
  options.columns[0].index = options.columns[1].index = -1;
  options.split = {};
  options.split.valid = 0.5;
  options.split.by = {"user"};
  DataOptions other = options;
  other.train = {write_text("b", "user,y\nf,6\ng,7\ne,5\nb,2\nd,4\nc,3\na,1\n")};
  for (const Split split : {Split::train, Split::valid}) {
    std::vector<std::int64_t> found = labels_in(other, split);
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, labels_in(options, split));
    EXPECT_FALSE(found.empty());
  }
}

TEST(RecordSplit, LinesThatAreAddedChangeNoChoice) {
  const std::vector<std::int64_t> before =
      labels_in(split_of({write_text("a", lines_of(300))}), Split::valid);
  std::vector<std::int64_t> found =
      labels_in(split_of({write_text("a", lines_of(450))}), Split::valid);
  std::erase_if(found, [](std::int64_t label) { return label >= 300; });
  EXPECT_EQ(found, before);
}

TEST(RecordSplit, FilesDrawEachForItself) {
  // Files of ten lines each: were the number of a line all that counts, each would give the same.
  std::vector<std::string> files;
  for (int f = 0; f < 100; ++f) {
    files.push_back(write_text(fmt::format("f{}", f), lines_of(10)));
  }
  const auto valid = static_cast<double>(labels_in(split_of(files), Split::valid).size());
  EXPECT_NEAR(valid, 200, 4 * std::sqrt(1000 * 0.2 * 0.8));
}

TEST(RecordSplit, IsTheSameOnAnyNumberOfRanks) {
  DataOptions options = split_of({write_text("a", lines_of(600))});
  options.block_bytes = 100;
  options.split.by = {"user"};
  ReadPlan plan;
  plan.batch_size = 64;
  plan.slices = 8;
  plan.seed = 3;
  const std::vector<StepSamples> one = read_steps(options, Split::train, plan, 1);
  for (const int ranks : {2, 3, 4}) {
    EXPECT_EQ(read_steps(options, Split::train, plan, ranks), one) << ranks;
  }
}

TEST(RecordSplit, AKeptIndexServesAllSplits) {
  DataOptions options = split_of({write_text("a", lines_of(300))});
  options.index_folder = std::filesystem::path(options.train[0]).parent_path().string();
  const std::vector<std::int64_t> valid = labels_in(options, Split::valid);
  EXPECT_TRUE(std::filesystem::exists(options.index_folder + "/index-train.json"));
  EXPECT_FALSE(std::filesystem::exists(options.index_folder + "/index-valid.json"));
  EXPECT_EQ(labels_in(options, Split::valid), valid);
  EXPECT_EQ(labels_in(options, Split::train).size() + valid.size() +
                labels_in(options, Split::test).size(),
            300u);
}

TEST(RecordSplit, SaysWhatItCannotSplit) {
  DataOptions options = split_of({write_text("a", lines_of(3))});
  options.split = {};
  options.split.valid = 1e-9;
  try {
    read_in_order(options, Split::valid);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    EXPECT_NE(error.text().find("data.split leaves none of 3 records in this split"),
              std::string::npos)
        << error.text();
  }
  options.split = {};
  options.split.valid = 0.5;
  options.split.by = {"city"};
  EXPECT_NE(complaint(options).find("data.split.by: expected a column of the configuration"),
            std::string::npos);
  options.header = true;
  options.train = {write_text("b", "y,user\n1,a\n")};
  EXPECT_NE(complaint(options).find("expected a column \"city\" in the header"), std::string::npos);
}

}  // namespace
}  // namespace keyshard::testing
