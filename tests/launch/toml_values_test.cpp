// Every kind of TOML value and table as settings, and --set over all of them.
#include <cmath>

#include <gtest/gtest.h>

#include "launch/toml_file.hpp"
#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;
using Table = SettingValue::Table;
using Array = SettingValue::Array;

SettingValue parsed(const std::string& content) {
  const ScratchFolder folder;
  SettingValue root = read_toml(folder.write("a.toml", content));
  return root;
}

/// The value at a path of names.
const SettingValue& at(const SettingValue& root, const std::vector<std::string>& path) {
  const SettingValue* value = &root;
  for (const std::string& part : path) {
    const SettingValue* next = nullptr;
    for (const auto& [name, entry] : std::get<Table>(value->value)) {
      next = name == part ? &entry : next;
    }
    if (next == nullptr) {
      throw std::out_of_range(part);
    }
    value = next;
  }
  return *value;
}

template <class T>
T value_of(const std::string& text) {
  return std::get<T>(at(parsed("x = " + text + "\n"), {"x"}).value);
}

TEST(TomlValues, IntegersOfEverySpelling) {
  EXPECT_EQ(value_of<std::int64_t>("0"), 0);
  EXPECT_EQ(value_of<std::int64_t>("-17"), -17);
  EXPECT_EQ(value_of<std::int64_t>("1_000_000"), 1'000'000);
  EXPECT_EQ(value_of<std::int64_t>("0xff"), 255);
  EXPECT_EQ(value_of<std::int64_t>("9223372036854775807"),
            std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(value_of<std::int64_t>("-9223372036854775808"),
            std::numeric_limits<std::int64_t>::min());
}

TEST(TomlValues, NumbersOfEverySpelling) {
  EXPECT_EQ(value_of<double>("1.0"), 1.0);
  EXPECT_EQ(value_of<double>("-0.125"), -0.125);
  EXPECT_EQ(value_of<double>("1e-7"), 1e-7);
  EXPECT_EQ(value_of<double>("inf"), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(value_of<double>("nan")));
}

TEST(TomlValues, StringsWithAndWithoutEscapes) {
  EXPECT_EQ(value_of<std::string>(R"("a\tb\u00e4")"), "a\tb\xC3\xA4");
  EXPECT_EQ(value_of<std::string>(R"('a\tb')"), "a\\tb");
  EXPECT_EQ(value_of<std::string>("\"\"\"\nfirst\nsecond\"\"\""), "first\nsecond");
  EXPECT_EQ(value_of<std::string>("\"\""), "");
}

TEST(TomlValues, FlagsAndListsOfLists) {
  EXPECT_TRUE(value_of<bool>("true"));
  EXPECT_FALSE(value_of<bool>("false"));
  const Array lists = value_of<Array>("[[1, 2], [], [\"a\"]]");
  ASSERT_EQ(lists.size(), 3u);
  EXPECT_EQ(std::get<std::int64_t>(std::get<Array>(lists[0].value)[1].value), 2);
  EXPECT_TRUE(std::get<Array>(lists[1].value).empty());
}

TEST(TomlTables, OfEverySpellingAreTheSame) {
  for (const char* text : {"[a.b]\nx = 1\n", "[a]\nb = { x = 1 }\n", "[a]\nb.x = 1\n",
                           "a.b.x = 1\n", "a = { b = { x = 1 } }\n"}) {
    const SettingValue root = parsed(text);
    EXPECT_EQ(std::get<std::int64_t>(at(root, {"a", "b", "x"}).value), 1) << text;
  }
}

TEST(TomlTables, ValuesOfSeveralLinesKnowTheFirst) {
  const ScratchFolder folder;
  const std::string path = folder.write("a.toml", "\nx = [\n  1,\n  2,\n]\ny = 3\n");
  const SettingValue root = read_toml(path);
  EXPECT_EQ(at(root, {"x"}).place, path + ":2");
  EXPECT_EQ(std::get<Array>(at(root, {"x"}).value)[1].place, path + ":4");
  EXPECT_EQ(at(root, {"y"}).place, path + ":6");
}

TEST(TomlTables, AnEmptyFileIsAnEmptyTable) {
  EXPECT_TRUE(std::get<Table>(parsed("").value).empty());
  EXPECT_TRUE(std::get<Table>(parsed("# nothing\n").value).empty());
}

/// The value that an assignment makes under x.
SettingValue assigned(const std::string& text) {
  SettingValue root{Table{}, ""};
  set_value(root, "x=" + text);
  return at(root, {"x"});
}

TEST(SetValues, AreTomlWhereTheyAreAndElseStrings) {
  EXPECT_EQ(std::get<std::int64_t>(assigned("7").value), 7);
  EXPECT_EQ(std::get<double>(assigned("0.5").value), 0.5);
  EXPECT_TRUE(std::get<bool>(assigned("true").value));
  EXPECT_EQ(std::get<std::string>(assigned("\"7\"").value), "7");
  EXPECT_EQ(std::get<Array>(assigned("[1, 2]").value).size(), 2u);
  EXPECT_EQ(std::get<Table>(assigned("{ type = \"adam\" }").value).size(), 1u);
  EXPECT_EQ(std::get<std::string>(assigned("adam").value), "adam");
  EXPECT_EQ(std::get<std::string>(assigned("").value), "");
  EXPECT_EQ(std::get<std::string>(assigned("a=b").value), "a=b");
  EXPECT_EQ(std::get<std::string>(assigned("[1, 2").value), "[1, 2");
  EXPECT_EQ(std::get<std::string>(assigned("True").value), "True");
}

TEST(SetValues, KnowThatTheyComeFromTheCommandLine) {
  SettingValue root{Table{}, ""};
  set_value(root, "a.b.c=1");
  EXPECT_EQ(at(root, {"a", "b", "c"}).place, "--set a.b.c");
  EXPECT_EQ(at(root, {"a"}).place, "--set a.b.c");
}

TEST(SetValues, ReplaceOneValueAndLeaveTheOthersInTheirOrder) {
  SettingValue root = parsed("[m]\nz = 1\na = 2\n[d]\nx = 3\n");
  set_value(root, "m.z=9");
  set_value(root, "m.n=5");
  const auto& table = std::get<Table>(at(root, {"m"}).value);
  ASSERT_EQ(table.size(), 3u);
  EXPECT_EQ(table[0].first, "z");
  EXPECT_EQ(std::get<std::int64_t>(table[0].second.value), 9);
  EXPECT_EQ(table[1].first, "a");
  EXPECT_EQ(table[2].first, "n");
  EXPECT_EQ(std::get<std::int64_t>(at(root, {"d", "x"}).value), 3);
}

TEST(SetValues, TheLastOneOfAKeyWins) {
  SettingValue root{Table{}, ""};
  for (const char* assignment : {"job.steps=1", "job.steps=2", "job.steps=3"}) {
    set_value(root, assignment);
  }
  EXPECT_EQ(std::get<std::int64_t>(at(root, {"job", "steps"}).value), 3);
  EXPECT_EQ(std::get<Table>(at(root, {"job"}).value).size(), 1u);
}

TEST(SetValues, MayReplaceATableByAValueButGoIntoNoValue) {
  SettingValue root = parsed("[model.optimizer]\ntype = \"adam\"\n");
  set_value(root, "model.optimizer=sgd");
  EXPECT_EQ(std::get<std::string>(at(root, {"model", "optimizer"}).value), "sgd");
  try {
    set_value(root, "model.optimizer.type=adam");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    EXPECT_EQ(error.text(), "--set model.optimizer.type: expected a table before \".type\"");
  }
}

}  // namespace
}  // namespace keyshard
