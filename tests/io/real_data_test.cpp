// Public data sets with their oddities are read without a lost cell. Every number here is in
// ../shared/data/README.md.
#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/io/read_data.hpp"
#include "tests/support/shared_folder.hpp"

namespace keyshard::testing {
namespace {

const std::string kFolder = shared_folder() + "/data/";

class RealData : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kFolder)) {
      GTEST_SKIP() << "no data sets in " << kFolder;
    }
  }
};

DataOptions data_of(const std::string& file, const std::string& separator) {
  DataOptions options;
  options.train = {kFolder + file};
  options.separator = separator;
  return options;
}

std::int64_t positives(const std::vector<Sample>& samples) {
  return std::count_if(samples.begin(), samples.end(), [](const Sample& s) { return s.label > 0; });
}

std::size_t distinct_ids(const std::vector<Sample>& samples) {
  std::set<Key> ids;
  for (const Sample& sample : samples) {
    for (const auto& bag : sample.bags) {
      ids.insert(bag.begin(), bag.end());
    }
  }
  return ids.size();
}

std::int64_t empty_bags(const std::vector<Sample>& samples) {
  std::int64_t count = 0;
  for (const Sample& sample : samples) {
    count += std::count_if(sample.bags.begin(), sample.bags.end(),
                           [](const auto& bag) { return bag.empty(); });
  }
  return count;
}

TEST_F(RealData, CriteoKeepsEveryEmptyCell) {
  constexpr float kFill = -12345;
  DataOptions options = data_of("criteo-10k/criteo_head10000.tsv.xz", "\t");
  options.columns = {make_column("label", 0, ColumnRole::label)};
  for (std::int64_t i = 1; i <= 13; ++i) {
    options.columns.push_back(make_column(fmt::format("I{}", i), i, ColumnRole::dense));
    options.columns.back().transform = DenseTransform::log;
    options.columns.back().fill = kFill;
  }
  for (std::int64_t i = 1; i <= 26; ++i) {
    options.columns.push_back(make_column(fmt::format("C{}", i), 13 + i, ColumnRole::id));
  }
  for (const ReadOrder order : {ReadOrder::blocks, ReadOrder::stream}) {
    options.order = order;
    const std::vector<Sample> samples = read_in_order(options);
    ASSERT_EQ(samples.size(), 10'000u);
    EXPECT_EQ(positives(samples), 2182);
    EXPECT_EQ(empty_bags(samples), 29'640);
    EXPECT_EQ(distinct_ids(samples), 43'579u);
    std::int64_t missing = 0, negative = 0;
    for (const Sample& sample : samples) {
      missing += std::count(sample.dense.begin(), sample.dense.end(), kFill);
      negative += sample.dense[1] < 0;
    }
    EXPECT_EQ(missing, 27'181);
    EXPECT_EQ(negative, 975);
  }
  for (ColumnOptions& column : options.columns) {
    column.missing_is_id = true;
  }
  EXPECT_EQ(distinct_ids(read_in_order(options)), 43'591u);
}

TEST_F(RealData, AvazuFindsColumnsByNameAndTakesLargeIds) {
  DataOptions options = data_of("avazu-9k/avazu_8999.csv.xz", ",");
  options.header = true;
  options.columns = {make_column("click", -1, ColumnRole::label),
                     make_column("id", -1, ColumnRole::id)};
  options.columns[1].integer = true;
  const std::vector<Sample> rows = read_in_order(options);
  ASSERT_EQ(rows.size(), 8999u);
  EXPECT_EQ(positives(rows), 1563);
  EXPECT_EQ(distinct_ids(rows), 8999u);
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(),
                          [](const Sample& s) { return s.bags[0][0] >= 1ull << 63; }),
            8182);

  options.columns.pop_back();
  for (const char* name : {"hour",         "C1",
                           "banner_pos",   "site_id",
                           "site_domain",  "site_category",
                           "app_id",       "app_domain",
                           "app_category", "device_id",
                           "device_ip",    "device_model",
                           "device_type",  "device_conn_type",
                           "C14",          "C15",
                           "C16",          "C17",
                           "C18",          "C19",
                           "C20",          "C21"}) {
    options.columns.push_back(make_column(name, -1, ColumnRole::id));
  }
  EXPECT_EQ(distinct_ids(read_in_order(options)), 10'349u);
}

TEST_F(RealData, AdultTakesItsSeparatorItsLabelsAndItsFirstLine) {
  DataOptions options = data_of("adult/adult.data.xz", ", ");
  options.test = {kFolder + std::string("adult/adult.test.xz")};
  options.skip_lines_by_split = {-1, -1, 1};
  options.missing = {"?"};
  options.columns = {make_column("income", 14, ColumnRole::label)};
  options.columns[0].positive = {">50K", ">50K."};
  for (const std::int64_t index : {1, 3, 5, 6, 7, 8, 9, 13}) {
    options.columns.push_back(make_column(fmt::format("s{}", index), index, ColumnRole::id));
  }
  const std::vector<Sample> train = read_in_order(options);
  EXPECT_EQ(train.size(), 32'561u);
  EXPECT_EQ(positives(train), 7841);
  EXPECT_EQ(empty_bags(train), 1836 + 1843 + 583);
  EXPECT_EQ(distinct_ids(train), 8u + 16 + 7 + 14 + 6 + 5 + 2 + 41);
  const std::vector<Sample> test = read_in_order(options, Split::test);
  EXPECT_EQ(test.size(), 16'281u);
  EXPECT_EQ(positives(test), 3846);
  EXPECT_EQ(empty_bags(test), 963 + 966 + 274);
}

TEST_F(RealData, FrappeTakesZeroAsAnId) {
  DataOptions options = data_of("frappe_x1r/train.csv.gz", ",");
  options.valid = {kFolder + std::string("frappe_x1r/valid.csv.gz")};
  options.header = true;
  options.columns = {make_column("label", -1, ColumnRole::label)};
  for (const char* name : {"user", "item", "daytime", "weekday", "isweekend", "homework", "cost",
                           "weather", "country", "city"}) {
    options.columns.push_back(make_column(name, -1, ColumnRole::id));
    options.columns.back().integer = true;
  }
  const std::vector<Sample> train = read_in_order(options);
  EXPECT_EQ(train.size(), 202'027u);
  EXPECT_EQ(positives(train), 67'604);
  EXPECT_EQ(empty_bags(train), 0);
  const std::vector<Sample> valid = read_in_order(options, Split::valid);
  EXPECT_EQ(valid.size(), 57'722u);
  EXPECT_EQ(positives(valid), 19'063);
  std::vector<Sample> all = train;
  all.insert(all.end(), valid.begin(), valid.end());
  EXPECT_EQ(distinct_ids(all), 5382u);
}

TEST_F(RealData, MovieLensComesOutOfItsArchive) {
  DataOptions options = data_of("ml-100k/ml-100k.tar.xz!u1.base", "\t");
  options.test = {kFolder + std::string("ml-100k/ml-100k.tar.xz!./u1.test")};
  options.columns = {make_column("rating", 2, ColumnRole::label),
                     make_column("user", 0, ColumnRole::id),
                     make_column("item", 1, ColumnRole::id)};
  std::vector<Sample> all = read_in_order(options);
  EXPECT_EQ(all.size(), 80'000u);
  const std::vector<Sample> test = read_in_order(options, Split::test);
  EXPECT_EQ(test.size(), 20'000u);
  all.insert(all.end(), test.begin(), test.end());
  EXPECT_EQ(distinct_ids(all), 943u + 1682);
  const std::int64_t expected[] = {6110, 11'370, 27'145, 34'174, 21'201};
  for (std::int64_t rating = 1; rating <= 5; ++rating) {
    EXPECT_EQ(std::count_if(all.begin(), all.end(),
                            [&](const Sample& s) { return s.label == static_cast<float>(rating); }),
              expected[rating - 1]);
  }
  options.train = {kFolder + std::string("ml-100k/ml-100k.tar.xz!u9.base")};
  EXPECT_NE(complaint(options).find("expected an entry \"u9.base\""), std::string::npos);
}

}  // namespace
}  // namespace keyshard::testing
