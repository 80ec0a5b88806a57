// Every reader of Settings over every type of value, at both ends of its bounds; lists, tables of
// tables, and the words that are near others.
#include <algorithm>
#include <functional>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/settings.hpp"

namespace keyshard {
namespace {

using Table = SettingValue::Table;
using Array = SettingValue::Array;

SettingValue value(SettingValue::Variant variant) { return {std::move(variant), "a.toml:1"}; }

struct Reading {
  SettingValue root;
  std::shared_ptr<SettingsReport> report = std::make_shared<SettingsReport>();
  Settings settings;

  explicit Reading(Table table, std::string path = "job")
      : root(std::move(table), "a.toml:1"), settings(root, std::move(path), report) {}

  std::string messages() const {
    std::string all;
    for (const std::string& message : report->messages) {
      all += message + "\n";
    }
    return all;
  }
};

/// A value of each type, and how a message calls it.
std::vector<std::pair<SettingValue, std::string>> every_type() {
  return {{value(true), "the flag true"}, {value(std::int64_t{7}), "the integer 7"},
          {value(2.5), "the number 2.5"}, {value(std::string("s")), "the string \"s\""},
          {value(Array{}), "a list"},     {value(Table{}), "a table"}};
}

struct Reader {
  const char* expected;
  std::vector<std::string> taken;  ///< values it takes, as messages call them
  std::function<void(Settings&)> read;
};

std::vector<Reader> every_reader() {
  return {
      {"true or false", {"the flag true"}, [](Settings& s) { s.flag("k", false); }},
      {"an integer", {"the integer 7"}, [](Settings& s) { s.integer("k", 0); }},
      {"a number", {"the integer 7", "the number 2.5"}, [](Settings& s) { s.number("k", 0); }},
      {"a string", {"the string \"s\""}, [](Settings& s) { s.text("k", ""); }},
      {"a list of strings", {"a list"}, [](Settings& s) { s.texts("k"); }},
      {"a list of integers", {"a list"}, [](Settings& s) { s.integers("k"); }},
      {"a list of numbers", {"a list"}, [](Settings& s) { s.numbers("k"); }},
      {"a table", {"the string \"s\"", "a table"}, [](Settings& s) { s.table("k"); }},
      {"a list of tables", {"a list"}, [](Settings& s) { s.tables("k"); }},
  };
}

TEST(SettingsTypes, EveryReaderTakesItsTypesAndSaysWhatItFoundElse) {
  for (const Reader& reader : every_reader()) {
    for (const auto& [written, found] : every_type()) {
      Reading r({{"k", written}});
      reader.read(r.settings);
      const bool taken =
          std::find(reader.taken.begin(), reader.taken.end(), found) != reader.taken.end();
      EXPECT_EQ(r.messages(), taken ? ""
                                    : std::string("a.toml:1: job.k: expected ") + reader.expected +
                                          ": found " + found + "\n");
    }
  }
}

TEST(SettingsTypes, EveryReaderMarksItsKeyAsKnownEvenWhereItsValueIsWrong) {
  for (const Reader& reader : every_reader()) {
    Reading r({{"k", value(Array{value(Array{})})}});
    reader.read(r.settings);
    const std::string before = r.messages();
    r.settings.finish();
    EXPECT_EQ(r.messages(), before) << reader.expected;
  }
}

TEST(SettingsBounds, ValuesAtTheEndsAreTakenAndThoseBeyondAreNot) {
  struct Case {
    std::int64_t written, taken;
    const char* problem;
  };

  for (const Case& c :
       {Case{-3, -3, ""}, Case{4, 4, ""}, Case{-4, 1, "expected an integer from -3 to 4: found -4"},
        Case{5, 1, "expected an integer from -3 to 4: found 5"}}) {
    Reading r({{"k", value(c.written)}});
    EXPECT_EQ(r.settings.integer("k", 1, -3, 4), c.taken);
    EXPECT_EQ(r.messages(),
              *c.problem == '\0' ? "" : fmt::format("a.toml:1: job.k: {}\n", c.problem));
  }
}

TEST(SettingsBounds, AnyIntegerIsTakenWhereThereAreNone) {
  for (const std::int64_t written :
       {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
    Reading r({{"k", value(written)}});
    EXPECT_EQ(r.settings.integer("k", 1), written);
    EXPECT_EQ(r.messages(), "");
  }
}

TEST(SettingsBounds, ANumberThatIsNoneLiesInNoRange) {
  Reading r({{"k", value(std::numeric_limits<double>::quiet_NaN())}});
  EXPECT_EQ(r.settings.number("k", 0.5, 0, 1), 0.5);
  EXPECT_EQ(r.messages(), "a.toml:1: job.k: expected a number from 0 to 1: found nan\n");
}

TEST(SettingsBounds, ANumberWithoutEndsIsFiniteAndASingleOneIsAsAFloatToo) {
  Reading infinite({{"k", value(std::numeric_limits<double>::infinity())}});
  EXPECT_EQ(infinite.settings.number("k", 0.5), 0.5);
  EXPECT_EQ(infinite.messages(), "a.toml:1: job.k: expected a finite number: found inf\n");
  Reading large({{"k", value(1e300)}});
  EXPECT_EQ(large.settings.single("k", 0.5f, 0), 0.5f);
  EXPECT_EQ(large.messages(),
            "a.toml:1: job.k: expected a number that is finite as a 32-bit float: found a larger "
            "one\n");
  Reading fits({{"k", value(1e30)}});
  EXPECT_EQ(fits.settings.single("k", 0.5f, 0), 1e30f);
  EXPECT_EQ(fits.messages(), "");
}

TEST(SettingsBounds, ANumberWithALowerEndAloneIsSaidWithThatEnd) {
  Reading r({{"k", value(-0.25)}});
  EXPECT_EQ(r.settings.number("k", 2, 0), 2);
  EXPECT_EQ(r.messages(), "a.toml:1: job.k: expected a number of at least 0: found -0.25\n");
}

TEST(SettingsBounds, NumbersAtTheEndsAreTaken) {
  for (const double written : {0.0, 1.0}) {
    Reading r({{"k", value(written)}});
    EXPECT_EQ(r.settings.number("k", 0.5, 0, 1), written);
    EXPECT_EQ(r.messages(), "");
  }
}

TEST(SettingsBounds, AValueOutOfThemIsNotReportedAsTaken) {
  Reading r({{"k", value(std::int64_t{9})}});
  r.settings.integer("k", 1, 0, 4);
  EXPECT_TRUE(r.report->values.empty());
}

enum class Colour { red, green, blue };

TEST(SettingsOption, IsTheEnumeratorOfItsWord) {
  const std::vector<std::string> names{"red", "green", "blue"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    Reading r({{"k", value(names[i])}});
    EXPECT_EQ(r.settings.option("k", Colour::red, names), static_cast<Colour>(i));
  }
  Reading missing({});
  EXPECT_EQ(missing.settings.option("k", Colour::blue, names), Colour::blue);
  EXPECT_EQ(std::get<std::string>(missing.report->values["job.k"].value), "blue");
  Reading wrong({{"k", value(std::string("gren"))}});
  EXPECT_EQ(wrong.settings.option("k", Colour::blue, names), Colour::blue);
  EXPECT_EQ(wrong.messages(),
            "a.toml:1: job.k: expected one of red, green, blue: found \"gren\"; did you mean "
            "\"green\"?\n");
}

TEST(SettingsLists, AreReadInTheirOrder) {
  Reading r({{"t", value(Array{value(std::string("b")), value(std::string("a"))})},
             {"i", value(Array{value(std::int64_t{3}), value(std::int64_t{-1})})},
             {"n", value(Array{value(0.5), value(std::int64_t{2})})},
             {"e", value(Array{})}});
  EXPECT_EQ(r.settings.texts("t"), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(r.settings.integers("i"), (std::vector<std::int64_t>{3, -1}));
  EXPECT_EQ(r.settings.numbers("n"), (std::vector<double>{0.5, 2.0}));
  EXPECT_EQ(r.settings.texts("e", {"x"}), std::vector<std::string>{});
  EXPECT_EQ(r.settings.integers("missing", {1, 2}), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(r.messages(), "");
}

TEST(SettingsLists, AWrongEntrySpoilsTheListAndIsSaid) {
  Reading r({{"i", value(Array{value(std::int64_t{3}), value(0.5)})}});
  EXPECT_EQ(r.settings.integers("i", {8}), (std::vector<std::int64_t>{8}));
  EXPECT_EQ(r.messages(), "a.toml:1: job.i: expected a list of integers: found the number 0.5\n");
}

TEST(SettingsTables, ThoseOfAListHaveNumberedPathsAndKnowTheirKeys) {
  const SettingValue first{Table{{"name", value(std::string("a"))}}, "a.toml:4"};
  const SettingValue second{Table{{"nam", value(std::string("b"))}}, "a.toml:8"};
  Reading r({{"columns", value(Array{first, second})}}, "data");
  std::vector<Settings> tables = r.settings.tables("columns");
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].path(), "data.columns[0]");
  EXPECT_EQ(tables[1].path(), "data.columns[1]");
  for (Settings& table : tables) {
    table.text("name", "none");
    table.finish();
  }
  EXPECT_EQ(std::get<std::string>(r.report->values["data.columns[0].name"].value), "a");
  EXPECT_EQ(std::get<std::string>(r.report->values["data.columns[1].name"].value), "none");
  EXPECT_EQ(r.messages(),
            "a.toml:1: unknown key \"nam\" in [data.columns[1]]; did you mean \"name\"?\n");
}

TEST(SettingsTables, AnEntryThatIsNoTableIsSaidAndTheOthersAreRead) {
  const SettingValue table{Table{}, "a.toml:4"};
  Reading r({{"columns", value(Array{table, value(std::int64_t{1}), table})}}, "data");
  EXPECT_EQ(r.settings.tables("columns").size(), 2u);
  EXPECT_EQ(r.messages(),
            "a.toml:1: data.columns: expected a list of tables: found the integer 1\n");
}

TEST(SettingsTables, NamedOnesComeInTheOrderOfTheFile) {
  const SettingValue user{Table{{"dim", value(std::int64_t{8})}}, "a.toml:2"};
  const SettingValue item{Table{{"dim", value(std::int64_t{4})}}, "a.toml:5"};
  Reading r({{"tables", value(Table{{"user", user}, {"item", item}})}}, "");
  auto named = r.settings.named_tables("tables");
  ASSERT_EQ(named.size(), 2u);
  EXPECT_EQ(named[0].first, "user");
  EXPECT_EQ(named[0].second.integer("dim", 0), 8);
  EXPECT_EQ(named[1].second.path(), "tables.item");
  EXPECT_EQ(named[1].second.integer("dim", 0), 4);
  EXPECT_TRUE(r.settings.named_tables("missing").empty());
  EXPECT_EQ(r.messages(), "");
}

TEST(SettingsTables, OfTheRootHaveNoPathInMessages) {
  Reading r({{"jbo", value(Table{})}}, "");
  r.settings.table("job");
  r.settings.finish();
  EXPECT_EQ(r.messages(), "a.toml:1: unknown key \"jbo\"; did you mean \"job\"?\n");
}

TEST(Settings, HasSaysWhetherAKeyIsWrittenAndDoesNotMakeItKnown) {
  Reading r({{"k", value(true)}});
  EXPECT_TRUE(r.settings.has("k"));
  EXPECT_FALSE(r.settings.has("j"));
  r.settings.finish();
  EXPECT_EQ(r.messages(), "a.toml:1: unknown key \"k\" in [job]\n");
}

TEST(Settings, AnAllowedKeyIsKnownWithoutBeingRead) {
  Reading r({{"k", value(true)}});
  r.settings.allow("k");
  r.settings.finish();
  EXPECT_EQ(r.messages(), "");
  EXPECT_TRUE(r.report->values.empty());
}

TEST(Settings, NotesWhatIsAskedOfAKeyForAReference) {
  Reading r({{"seed", value(std::int64_t{7})}});
  r.report->questions = std::make_shared<KeyQuestions>();
  r.settings.integer("seed", 1, 0, 9);
  r.settings.choice("type", "adam", {"adam", "sgd"});
  r.settings.has("schedule");
  const std::map<std::string, KeyQuestion>& asked = r.report->questions->keys;
  ASSERT_EQ(asked.size(), 3u);
  const KeyQuestion& seed = asked.at("job.seed");
  EXPECT_EQ(seed.type, "integer");
  EXPECT_EQ(as_integer(seed.otherwise), 1);
  EXPECT_EQ(std::pair(seed.least, seed.most), std::pair(0.0, 9.0));
  EXPECT_EQ(asked.at("job.type").legal, (std::vector<std::string>{"adam", "sgd"}));
  EXPECT_EQ(asked.at("job.schedule").type, "");
}

TEST(Settings, NotesWhatDescribesATable) {
  static constexpr KeyMeaning kKeys[] = {{"seed", "", "of the job"}};
  static constexpr KeyTable kTable{"Job", "", kKeys};
  Reading r({});
  r.settings.describe(kTable);
  r.report->questions = std::make_shared<KeyQuestions>();
  r.settings.describe(kTable);
  ASSERT_EQ(r.report->questions->tables.size(), 1u);
  EXPECT_EQ(r.report->questions->tables[0], std::pair(std::string("job"), &kTable));
}

TEST(Settings, RefusesAKeyOnlyWhereItIsGiven) {
  Reading r({{"share", value(true)}});
  r.settings.refuse("nslots", "expected none");
  r.settings.refuse("share", "expected table");
  r.settings.finish();
  EXPECT_EQ(r.messages(), "a.toml:1: job.share: expected table\n");
}

TEST(Settings, GivesTheDefaultTypeOfATableNoPlace) {
  Reading r({});
  r.settings.table("optimizer", "adam").text("type", "");
  EXPECT_EQ(r.report->values.at("job.optimizer.type").place, "");
}

TEST(NearestWord, IsTheFirstOfThoseThatAreEquallyNear) {
  EXPECT_EQ(nearest_word("adax", {"adam", "adag"}), "adam");
  EXPECT_EQ(nearest_word("adax", {"adag", "adam"}), "adag");
}

TEST(NearestWord, IsAtMostTwoMistakesOrAThirdOfTheWordAway) {
  EXPECT_EQ(nearest_word("abc", {"a"}), "a");                        // two letters are missing
  EXPECT_EQ(nearest_word("abcd", {"a"}), "");                        // three are
  EXPECT_EQ(nearest_word("xyzdefghi", {"abcdefghi"}), "abcdefghi");  // three of nine differ
  EXPECT_EQ(nearest_word("wxyzefghi", {"abcdefghi"}), "");           // four of nine
  EXPECT_EQ(nearest_word("word", {}), "");
}

}  // namespace
}  // namespace keyshard
