// Every key of [data], of its columns and of its generator: default, both ends of its range, and
// the message about a value beyond.
#include <functional>
#include <limits>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "io/data_options.hpp"

namespace keyshard {
namespace {

using Table = SettingValue::Table;
using Array = SettingValue::Array;

SettingValue value(SettingValue::Variant variant) { return {std::move(variant), "j.toml:3"}; }

SettingValue text(const char* s) { return value(std::string(s)); }

SettingValue whole(std::int64_t i) { return value(i); }

SettingValue files() { return value(Array{text("a.csv")}); }

SettingValue label() {
  return value(Table{{"name", text("y")}, {"index", whole(0)}, {"role", text("label")}});
}

struct Result {
  DataOptions options;
  std::string problems;
};

Result read(Table table) {
  const SettingValue tree = value(std::move(table));
  const auto report = std::make_shared<SettingsReport>();
  Result result;
  result.options = read_data_options(Settings(tree, "data", report), "", {});
  result.problems = fmt::format("{}", fmt::join(report->messages, "\n"));
  return result;
}

/// Legal data with one more key.
Result read_with(const char* key, SettingValue setting) {
  return read({{"train", files()}, {"columns", value(Array{label()})}, {key, std::move(setting)}});
}

/// Legal data with a generator that has one key.
Result read_generator(const char* key, SettingValue setting) {
  return read(
      {{"format", text("generated")}, {"generator", value(Table{{key, std::move(setting)}})}});
}

/// Legal data with a second column of that role and further keys.
Result read_column(const char* role, Table more) {
  Table column{{"name", text("x")}, {"index", whole(1)}, {"role", text(role)}};
  column.insert(column.end(), more.begin(), more.end());
  return read({{"train", files()}, {"columns", value(Array{label(), value(column)})}});
}

TEST(DataKeys, HaveTheDefaultsOfTheirHeader) {
  const Result result = read({{"train", files()}, {"columns", value(Array{label()})}});
  const DataOptions plain;

  EXPECT_EQ(result.problems, "");
  EXPECT_EQ(result.options.format, DataFormat::text);
  EXPECT_EQ(result.options.separator, ",");
  EXPECT_FALSE(result.options.header || result.options.trim || result.options.quote);
  EXPECT_EQ(result.options.skip_lines, 0);
  EXPECT_EQ(result.options.missing, std::vector<std::string>{""});
  EXPECT_EQ(result.options.max_bad_lines, 0);
  EXPECT_EQ(result.options.order, ReadOrder::automatic);
  EXPECT_EQ(result.options.window, plain.window);
  EXPECT_TRUE(result.options.shuffle);
  EXPECT_EQ(result.options.memory_bytes, std::int64_t{1} << 30);
  EXPECT_EQ(result.options.block_bytes, std::int64_t{4} << 20);
  EXPECT_EQ(result.options.generator.records, 300'000);
}

struct IntegerKey {
  const char* key;
  std::int64_t least, most;
  std::function<std::int64_t(const DataOptions&)> get;
};

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

void expect_range(const IntegerKey& k,
                  const std::function<Result(const char*, SettingValue)>& read_key) {
  for (const std::int64_t legal : {k.least, k.most}) {
    const Result result = read_key(k.key, whole(legal));
    EXPECT_EQ(result.problems, "") << k.key;
    EXPECT_EQ(k.get(result.options), legal) << k.key;
  }
  const Result below = read_key(k.key, whole(k.least - 1));
  EXPECT_NE(below.problems.find(fmt::format("{}: expected an integer", k.key)), std::string::npos)
      << k.key << ": " << below.problems;
  EXPECT_NE(below.problems.find(fmt::format("found {}", k.least - 1)), std::string::npos);
  if (k.most < kAny) {
    EXPECT_NE(
        read_key(k.key, whole(k.most + 1))
            .problems.find(fmt::format("from {} to {}: found {}", k.least, k.most, k.most + 1)),
        std::string::npos)
        << k.key;
  }
}

TEST(DataKeys, IntegersAreTakenFromTheirLeastToTheirMost) {
  const std::vector<IntegerKey> keys{
      {"skip_lines", 0, kAny, [](const DataOptions& o) { return o.skip_lines; }},
      {"train_skip_lines", 0, kAny, [](const DataOptions& o) { return o.skip_lines_by_split[0]; }},
      {"valid_skip_lines", 0, kAny, [](const DataOptions& o) { return o.skip_lines_by_split[1]; }},
      {"test_skip_lines", 0, kAny, [](const DataOptions& o) { return o.skip_lines_by_split[2]; }},
      {"max_bad_lines", 0, kAny, [](const DataOptions& o) { return o.max_bad_lines; }},
      {"window", 1, std::int64_t{1} << 31, [](const DataOptions& o) { return o.window; }},
      {"memory_bytes", 0, kAny, [](const DataOptions& o) { return o.memory_bytes; }},
      {"block_bytes", 64, std::int64_t{1} << 30,
       [](const DataOptions& o) { return o.block_bytes; }}};
  for (const IntegerKey& key : keys) {
    expect_range(key, read_with);
  }
}

TEST(DataKeys, IntegersOfTheGeneratorAreTakenFromTheirLeastToTheirMost) {
  const std::vector<IntegerKey> keys{
      {"records", 1, kAny, [](const DataOptions& o) { return o.generator.records; }},
      {"valid_records", 1, kAny, [](const DataOptions& o) { return o.generator.valid_records; }},
      {"features", 1, 10'000, [](const DataOptions& o) { return o.generator.features; }},
      {"ragged", 0, 26, [](const DataOptions& o) { return o.generator.ragged; }},
      {"dense", 0, 10'000, [](const DataOptions& o) { return o.generator.dense; }},
      {"vocabulary", 1, std::int64_t{1} << 31,
       [](const DataOptions& o) { return o.generator.vocabulary; }}};
  for (const IntegerKey& key : keys) {
    expect_range(key, read_generator);
  }
}

TEST(DataKeys, NoMoreFeaturesAreRaggedThanThereAre) {
  const Result result =
      read({{"format", text("generated")},
            {"generator", value(Table{{"features", whole(3)}, {"ragged", whole(4)}})}});
  EXPECT_NE(result.problems.find("data.generator.ragged: expected an integer from 0 to 3: found 4"),
            std::string::npos)
      << result.problems;
}

TEST(DataKeys, WordsAreTheirChoices) {
  const std::vector<std::pair<const char*, ReadOrder>> orders{{"auto", ReadOrder::automatic},
                                                              {"blocks", ReadOrder::blocks},
                                                              {"files", ReadOrder::files},
                                                              {"stream", ReadOrder::stream}};
  for (const auto& [word, order] : orders) {
    EXPECT_EQ(read_with("order", text(word)).options.order, order);
    EXPECT_STREQ(name_of(order), word);
  }
  EXPECT_NE(read_with("order", text("steam"))
                .problems.find("expected one of auto, blocks, files, stream: found \"steam\"; did "
                               "you mean \"stream\"?"),
            std::string::npos);
  EXPECT_EQ(read_with("format", text("packed")).options.format, DataFormat::packed);
  EXPECT_EQ(read_with("format", text("generated")).options.format, DataFormat::generated);
}

TEST(DataKeys, FlagsAreFlags) {
  const DataOptions all = read({{"train", files()},
                                {"columns", value(Array{label()})},
                                {"header", value(true)},
                                {"trim", value(true)},
                                {"quote", value(true)},
                                {"shuffle", value(false)}})
                              .options;
  EXPECT_TRUE(all.header && all.trim && all.quote);
  EXPECT_FALSE(all.shuffle);
}

TEST(DataKeys, LinesSkippedOfASplitAreItsOwnOrThoseOfAll) {
  const DataOptions options = read({{"train", files()},
                                    {"columns", value(Array{label()})},
                                    {"skip_lines", whole(2)},
                                    {"valid_skip_lines", whole(0)},
                                    {"test_skip_lines", whole(5)}})
                                  .options;
  EXPECT_EQ(options.skipped(Split::train), 2);
  EXPECT_EQ(options.skipped(Split::valid), 0);
  EXPECT_EQ(options.skipped(Split::test), 5);
}

TEST(DataKeys, OrderOfASplitIsTheOneResolvedBeforeOrThatOfAll) {
  DataOptions options;
  options.order = ReadOrder::files;
  options.order_by_split[1] = ReadOrder::stream;
  EXPECT_EQ(options.order_of(Split::train), ReadOrder::files);
  EXPECT_EQ(options.order_of(Split::valid), ReadOrder::stream);
}

TEST(DataKeys, SplitsHaveTheirFilesAndNames) {
  const DataOptions options = read({{"train", value(Array{text("a"), text("b")})},
                                    {"valid", value(Array{text("c")})},
                                    {"test", value(Array{text("-")})},
                                    {"columns", value(Array{label()})}})
                                  .options;
  EXPECT_EQ(options.files(Split::train), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.files(Split::valid), std::vector<std::string>{"c"});
  EXPECT_EQ(options.files(Split::test), std::vector<std::string>{"-"});
  EXPECT_STREQ(name_of(Split::train), "train");
  EXPECT_STREQ(name_of(Split::valid), "valid");
  EXPECT_STREQ(name_of(Split::test), "test");
}

TEST(DataColumns, DenseOnesHaveTransformsFillAndBuckets) {
  const Result result = read_column("dense", {{"transform", text("standard")},
                                              {"mean", value(1.5)},
                                              {"stddev", whole(2)},
                                              {"fill", value(-1.0)},
                                              {"buckets", value(Array{whole(1), value(2.5)})}});
  const ColumnOptions& column = result.options.columns.at(1);
  EXPECT_EQ(result.problems, "");
  EXPECT_EQ(column.transform, DenseTransform::standard);
  EXPECT_EQ(column.mean, 1.5);
  EXPECT_EQ(column.stddev, 2);
  EXPECT_EQ(column.fill, -1);
  EXPECT_EQ(column.buckets, (std::vector<double>{1, 2.5}));
  EXPECT_TRUE(column.is_feature());
}

TEST(DataColumns, MayHaveMissingTextsOfTheirOwn) {
  const Result own = read_column("id", {{"missing", value(Array{text("-1"), text("0")})}});
  EXPECT_EQ(own.problems, "");
  EXPECT_EQ(own.options.missing_of(own.options.columns.back()),
            (std::vector<std::string>{"-1", "0"}));
  const Result none = read_column("dense", {});
  EXPECT_EQ(none.options.missing_of(none.options.columns.back()), std::vector<std::string>{""});
}

TEST(DataColumns, EveryProblemOfOneIsSaid) {
  const std::vector<std::tuple<const char*, Table, const char*>> cases{
      {"dense", {{"stddev", whole(0)}}, "stddev: expected a number other than 0"},
      {"dense",
       {{"buckets", value(Array{whole(2), whole(1)})}},
       "buckets: expected ascending boundaries"},
      {"dense", {{"transform", text("logg")}}, "did you mean \"log\"?"},
      {"ids", {{"list_separator", text("")}}, "list_separator: expected at least one character"},
      {"ids", {{"max_length", whole(-1)}}, "max_length: expected an integer of at least 0"},
      {"id", {{"type", text("int")}}, "type: expected one of integer, string: found \"int\""},
      {"id", {{"on_missing", text("drop")}}, "on_missing: expected one of skip, own"},
      {"id", {{"max_length", whole(3)}}, "unknown key \"max_length\""},
      {"label", {{"fill", whole(0)}}, "unknown key \"fill\""},
      {"lable", {}, "did you mean \"label\"?"},
      {"label", {}, "expected one column with role \"label\": found 2"}};
  for (const auto& [role, more, expected] : cases) {
    const std::string problems = read_column(role, more).problems;
    EXPECT_NE(problems.find(expected), std::string::npos) << expected << ": " << problems;
    EXPECT_NE(problems.find("j.toml:3"), std::string::npos);
  }
}

TEST(DataColumns, OneOfThemMayBeAWeight) {
  EXPECT_TRUE(read_column("weight", {}).options.schema().weighted);
  const Result two = read(
      {{"train", files()},
       {"columns",
        value(Array{
            label(),
            value(Table{{"name", text("v")}, {"index", whole(1)}, {"role", text("weight")}}),
            value(Table{{"name", text("w")}, {"index", whole(2)}, {"role", text("weight")}})})}});
  EXPECT_NE(two.problems.find("expected at most one column with role \"weight\": found 2"),
            std::string::npos)
      << two.problems;
}

TEST(DataColumns, ThoseOfAHeaderNeedNoIndexAndAllNeedAName) {
  const auto column = [](Table table) { return value(Array{value(std::move(table))}); };
  EXPECT_EQ(read({{"train", files()},
                  {"header", value(true)},
                  {"columns", column({{"name", text("y")}, {"role", text("label")}})}})
                .problems,
            "");
  EXPECT_NE(read({{"train", files()},
                  {"columns", column({{"index", whole(0)}, {"role", text("label")}})}})
                .problems.find("name: expected a name for every column"),
            std::string::npos);
}

TEST(DataSchema, HasDenseColumnsAndFeaturesInTheirOrder) {
  DataOptions generated;
  generated.format = DataFormat::generated;
  generated.generator.dense = 2;
  generated.generator.features = 3;
  EXPECT_EQ(generated.schema().dense, (std::vector<std::string>{"I1", "I2"}));
  EXPECT_EQ(generated.schema().features, (std::vector<std::string>{"C1", "C2", "C3"}));
  EXPECT_FALSE(generated.schema().weighted);

  DataOptions text;
  for (const char* name : {"a", "b", "c", "d"}) {
    text.columns.emplace_back();
    text.columns.back().name = name;
  }
  text.columns[0].role = ColumnRole::ids;
  text.columns[1].role = ColumnRole::dense;
  text.columns[1].buckets = {0};
  text.columns[2].role = ColumnRole::dense;
  EXPECT_EQ(text.schema().features, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(text.schema().dense, std::vector<std::string>{"c"});
}

}  // namespace
}  // namespace keyshard
