// [data]: what is read, and every problem with the place of its value.
#include "io/data_options.hpp"

#include <algorithm>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/io/read_data.hpp"

namespace keyshard::testing {
namespace {

SettingValue text(const std::string& value) { return {value, "job.toml:7"}; }

SettingValue texts(const std::vector<std::string>& values) {
  SettingValue::Array array;
  for (const std::string& value : values) {
    array.push_back(text(value));
  }
  return {std::move(array), "job.toml:8"};
}

SettingValue table(SettingValue::Table values) { return {std::move(values), "job.toml:5"}; }

SettingValue number(std::int64_t value) { return {value, "job.toml:9"}; }

SettingValue columns(SettingValue::Array values) { return {std::move(values), "job.toml:4"}; }

const SettingValue kLabel =
    table({{"name", text("y")}, {"index", number(0)}, {"role", text("label")}});

struct Result {
  DataOptions options;
  std::string problems;
};

Result read(SettingValue::Table values) {
  const SettingValue tree = table(std::move(values));
  const auto problems = std::make_shared<SettingsReport>();
  Result result;
  result.options = read_data_options(Settings(tree, "data", problems), "/base", {"combiner"});
  result.problems = fmt::format("{}", fmt::join(problems->messages, "\n"));
  return result;
}

void expect_problem(SettingValue::Table values, const std::string& wanted) {
  const std::string problems = read(std::move(values)).problems;
  EXPECT_NE(problems.find(wanted), std::string::npos) << problems;
}

TEST(DataOptions, TakesFilesFromTheFolderOfTheData) {
  const auto train_in = [](const std::string& folder) {
    return read({{"folder", text(folder)},
                 {"train", texts({"a.csv", "/b.csv"})},
                 {"columns", columns({kLabel})}})
        .options.train;
  };
  EXPECT_EQ(train_in("days"), (std::vector<std::string>{"/base/days/a.csv", "/b.csv"}));
  EXPECT_EQ(train_in("/far"), (std::vector<std::string>{"/far/a.csv", "/b.csv"}));
}

TEST(DataOptions, ReadsColumnsAndFilesBesideTheConfiguration) {
  const Result result = read({{"train", texts({"a.csv", "/b.csv"})},
                              {"separator", text("::")},
                              {"columns", columns({kLabel,
                                                   table({{"name", text("c")},
                                                          {"index", number(3)},
                                                          {"role", text("ids")},
                                                          {"type", text("integer")},
                                                          {"max_length", number(4)},
                                                          {"table", text("items")},
                                                          {"combiner", text("mean")}}),
                                                   table({{"name", text("x")},
                                                          {"index", number(1)},
                                                          {"role", text("dense")},
                                                          {"transform", text("log")}})})}});
  EXPECT_EQ(result.problems, "");
  EXPECT_EQ(result.options.train, (std::vector<std::string>{"/base/a.csv", "/b.csv"}));
  EXPECT_EQ(result.options.separator, "::");
  EXPECT_EQ(result.options.columns[1].key_space, "items");
  EXPECT_EQ(result.options.columns[1].max_length, 4);
  EXPECT_TRUE(result.options.columns[1].integer);
  EXPECT_EQ(result.options.columns[2].transform, DenseTransform::log);
  EXPECT_EQ(result.options.schema().features, std::vector<std::string>{"c"});
  EXPECT_EQ(result.options.schema().dense, std::vector<std::string>{"x"});
}

TEST(DataOptions, TheHashOfStringsIsOneForAllColumnsOfATable) {
  const auto ids = [](const char* name, SettingValue::Table more) {
    more.insert(more.end(), {{"name", text(name)}, {"index", number(1)}, {"role", text("id")}});
    return table(more);
  };
  const SettingValue farm = ids("a", {{"hash", text("farmhash64")}});
  const SettingValue files = texts({"/a"});
  const Result result = read({{"train", files}, {"columns", columns({kLabel, farm})}});
  EXPECT_EQ(result.problems, "");
  EXPECT_EQ(result.options.columns[1].hash, TextHash::farmhash64);
  const SettingValue other = ids("b", {{"table", text("a")}});
  expect_problem(
      {{"train", files}, {"columns", columns({kLabel, farm, other})}},
      "expected hash = \"farmhash64\" as column \"a\" has it, which reads the same table "
      "a: found \"xxh3\"");
  const SettingValue integer = ids("b", {{"type", text("integer")}, {"hash", text("farmhash64")}});
  expect_problem({{"train", files}, {"columns", columns({kLabel, integer})}},
                 "expected a hash only where type = \"string\": found type = \"integer\"");
  const SettingValue unknown = ids("b", {{"hash", text("farmhash6")}});
  expect_problem({{"train", files}, {"columns", columns({kLabel, unknown})}}, "farmhash64");
}

TEST(DataOptions, FindsFilesByPattern) {
  const std::string b = write_text("part-b", ""), a = write_text("part-a", "");
  const std::string pattern = a.substr(0, a.size() - 1) + "*";
  EXPECT_EQ(read({{"train", texts({pattern})}, {"columns", columns({kLabel})}}).options.train,
            (std::vector<std::string>{a, b}));
  expect_problem({{"train", texts({"/nowhere/*"})}, {"columns", columns({kLabel})}},
                 "expected files that match \"/nowhere/*\": found none");
}

TEST(DataOptions, ReportsWhatIsWrongWithColumns) {
  const SettingValue files = texts({"a"});
  expect_problem({{"train", files}}, "expected one column with role \"label\": found 0");
  expect_problem({{"train", files}, {"columns", columns({kLabel, kLabel})}},
                 "expected different names: found column \"y\" 2 times");
  expect_problem(
      {{"train", files},
       {"columns", columns({kLabel, table({{"name", text("c")}, {"role", text("id")}})})}},
      "expected an index for column \"c\", for the data has no header");
  expect_problem({{"train", files},
                  {"columns", columns({kLabel, table({{"name", text("c")},
                                                      {"index", number(1)},
                                                      {"role", text("id")},
                                                      {"tyep", text("integer")}})})}},
                 "job.toml:7");
  expect_problem({{"columns", columns({kLabel})}}, "expected at least one file");
}

TEST(DataOptions, ReadsWhichSharesOfTheTrainingFilesAreOtherData) {
  const auto share = [](double value) { return SettingValue{value, "job.toml:9"}; };
  const auto with = [&](SettingValue::Table split, SettingValue::Table more) {
    more.emplace_back("train", texts({"/a.csv"}));
    more.emplace_back("split", table(std::move(split)));
    more.emplace_back("columns", columns({kLabel}));
    return more;
  };
  const Result result =
      read(with({{"valid", share(0.25)}, {"by", texts({"user"})}, {"seed", number(7)}}, {}));
  EXPECT_EQ(result.problems, "");
  const DataOptions& options = result.options;
  EXPECT_EQ(options.split.by, std::vector<std::string>{"user"});
  EXPECT_EQ(options.split.seed, 7u);
  EXPECT_EQ(options.files(Split::valid), std::vector<std::string>{"/a.csv"});
  EXPECT_TRUE(options.files(Split::test).empty());
  EXPECT_DOUBLE_EQ(options.split.share(Split::train), 0.75);

  expect_problem(with({{"valid", share(0.6)}, {"test", share(0.4)}}, {}),
                 "data.split.valid: expected shares that leave records to train on");
  expect_problem(
      with({{"valid", share(0.1)}}, {{"valid", texts({"/b.csv"})}}),
      "data.split.valid: expected files in data.valid or a share of those in data.train: "
      "found both");
  expect_problem(with({{"test", share(0.1)}}, {{"format", text("packed")}}),
                 "expected data.format = \"text\"");
}

TEST(DataOptions, ReportsAllProblemsAtOnce) {
  const std::string problems = read({{"train", texts({"a"})},
                                     {"separator", text("")},
                                     {"windw", number(3)},
                                     {"order", text("random")},
                                     {"block_bytes", number(1)},
                                     {"columns", columns({kLabel})}})
                                   .problems;
  EXPECT_GE(std::count(problems.begin(), problems.end(), '\n'), 3) << problems;
  for (const char* part : {"separator", "window", "order", "block_bytes"}) {
    EXPECT_NE(problems.find(part), std::string::npos) << problems;
  }
}

}  // namespace
}  // namespace keyshard::testing
