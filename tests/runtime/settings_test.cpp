// Settings of a configuration: values and defaults, and for every mistake a message with its place.
#include "runtime/settings.hpp"

#include <gtest/gtest.h>

namespace keyshard {
namespace {

using Table = SettingValue::Table;

SettingValue at(int line, SettingValue::Variant value) {
  return {std::move(value), "train.toml:" + std::to_string(line)};
}

SettingValue text(int line, const char* value) { return at(line, std::string(value)); }

struct Reading {
  SettingValue root;
  std::shared_ptr<SettingsReport> problems = std::make_shared<SettingsReport>();
  Settings settings;

  explicit Reading(Table table) : root(at(1, std::move(table))), settings(root, "job", problems) {}

  /// The only message.
  std::string message() const {
    return problems->messages.size() == 1 ? problems->messages[0]
                                          : std::to_string(problems->messages.size()) + " messages";
  }
};

TEST(Settings, GivesWhatIsWrittenAndElseTheDefault) {
  Reading r({{"batch_size", at(2, std::int64_t{64})},
             {"rate", at(3, 0.5)},
             {"decay", at(4, std::int64_t{1})},
             {"drop_last", at(5, true)},
             {"output", text(6, "out")}});
  EXPECT_EQ(r.settings.integer("batch_size", 1), 64);
  EXPECT_EQ(r.settings.integer("epochs", 3), 3);
  EXPECT_EQ(r.settings.number("rate", 1), 0.5);
  EXPECT_EQ(r.settings.number("decay", 0.1), 1.0);
  EXPECT_TRUE(r.settings.flag("drop_last", false));
  EXPECT_EQ(r.settings.text("output", ""), "out");
  r.settings.finish();
  EXPECT_TRUE(r.problems->messages.empty());
}

TEST(Settings, ReportsEveryValueThatWasTakenByItsPath) {
  Reading r({{"batch_size", at(2, std::int64_t{64})},
             {"rates", at(3, SettingValue::Array{at(3, std::int64_t{1}), at(3, 0.5)})},
             {"deep", at(4, Table{{"on", at(5, true)}})},
             {"unread", at(6, true)}});
  r.settings.integer("batch_size", 1);
  r.settings.integer("epochs", 3);
  r.settings.numbers("rates");
  r.settings.table("deep").flag("on", false);
  r.settings.table("deep").text("name", "x");
  ResolvedSettings& values = r.problems->values;
  EXPECT_EQ(std::get<std::int64_t>(values["job.batch_size"].value), 64);
  EXPECT_EQ(std::get<std::int64_t>(values["job.epochs"].value), 3);
  const auto& rates = std::get<SettingValue::Array>(values["job.rates"].value);
  ASSERT_EQ(rates.size(), 2u);
  EXPECT_EQ(std::get<double>(rates[0].value), 1.0);
  EXPECT_TRUE(std::get<bool>(values["job.deep.on"].value));
  EXPECT_EQ(std::get<std::string>(values["job.deep.name"].value), "x");
  EXPECT_EQ(values.size(), 5u);
}

TEST(Settings, AMisspeltKeyIsNamedWithTheNearestLegalOne) {
  Reading r({{"batch_sise", at(7, std::int64_t{64})}});
  r.settings.integer("epochs", 1);
  r.settings.integer("batch_size", 1);
  r.settings.finish();
  EXPECT_EQ(r.message(),
            "train.toml:7: unknown key \"batch_sise\" in [job]; did you mean \"batch_size\"?");
}

TEST(Settings, AnUnknownKeyThatIsNearNothingGetsNoAdvice) {
  Reading r({{"colour", at(7, std::int64_t{64})}});
  r.settings.integer("batch_size", 1);
  r.settings.finish();
  EXPECT_EQ(r.message(), "train.toml:7: unknown key \"colour\" in [job]");
}

TEST(Settings, AWrongTypeIsSaidWithWhatWasFound) {
  Reading integer({{"batch_size", text(3, "x")}});
  EXPECT_EQ(integer.settings.integer("batch_size", 5), 5);
  EXPECT_EQ(integer.message(),
            "train.toml:3: job.batch_size: expected an integer: found the string \"x\"");
  Reading number({{"decay", at(3, true)}});
  number.settings.number("decay", 1);
  EXPECT_EQ(number.message(), "train.toml:3: job.decay: expected a number: found the flag true");
  Reading flag({{"drop_last", at(3, std::int64_t{1})}});
  flag.settings.flag("drop_last", false);
  EXPECT_EQ(flag.message(),
            "train.toml:3: job.drop_last: expected true or false: found the integer 1");
  Reading table({{"optimizer", at(3, 0.5)}});
  table.settings.table("optimizer");
  EXPECT_EQ(table.message(), "train.toml:3: job.optimizer: expected a table: found the number 0.5");
  Reading list({{"train", text(3, "a.tsv")}});
  list.settings.texts("train");
  EXPECT_EQ(list.message(),
            "train.toml:3: job.train: expected a list of strings: found the string \"a.tsv\"");
}

TEST(Settings, AFractionIsNoInteger) {
  Reading r({{"epochs", at(3, 1.5)}});
  r.settings.integer("epochs", 1);
  EXPECT_EQ(r.message(), "train.toml:3: job.epochs: expected an integer: found the number 1.5");
}

TEST(Settings, AValueOutOfRangeIsSaidWithTheRange) {
  Reading low({{"epochs", at(3, std::int64_t{0})}});
  EXPECT_EQ(low.settings.integer("epochs", 2, 1), 2);
  EXPECT_EQ(low.message(), "train.toml:3: job.epochs: expected an integer of at least 1: found 0");
  Reading high({{"dropout", at(3, 1.5)}});
  high.settings.number("dropout", 0, 0, 1);
  EXPECT_EQ(high.message(), "train.toml:3: job.dropout: expected a number from 0 to 1: found 1.5");
}

TEST(Settings, AChoiceNamesTheLegalWordsAndTheNearest) {
  Reading r({{"metric", text(3, "acu")}});
  EXPECT_EQ(r.settings.choice("metric", "rmse", {"auc", "log_loss", "rmse"}), "rmse");
  EXPECT_EQ(r.message(),
            "train.toml:3: job.metric: expected one of auc, log_loss, rmse: found \"acu\"; did you "
            "mean \"auc\"?");
}

TEST(Settings, AStringWhereATableIsExpectedIsItsType) {
  Reading r({{"optimizer", text(3, "adam")}});
  Settings table = r.settings.table("optimizer");
  EXPECT_EQ(table.text("type", ""), "adam");
  EXPECT_EQ(r.settings.table("optimizer", "sgd").text("type", ""), "adam");
  EXPECT_EQ(r.settings.table("initializer", "zeros").text("type", ""), "zeros");
  EXPECT_FALSE(r.settings.table("linear").has("type"));
  EXPECT_TRUE(r.problems->messages.empty());
}

TEST(Settings, AProblemOfAMissingKeyStandsAtItsTable) {
  Reading r({});
  r.settings.problem("train", "expected at least one file");
  EXPECT_EQ(r.message(), "train.toml:1: job.train: expected at least one file");
}

TEST(Settings, ProblemsAreSortedByLineAndSaidOnce) {
  Reading r({{"b", at(10, std::int64_t{1})}, {"a", at(9, std::int64_t{1})}});
  r.settings.problem("b", "x");
  r.settings.problem("a", "x");
  r.settings.problem("b", "x");
  EXPECT_EQ(r.problems->sorted(),
            (std::vector<std::string>{"train.toml:9: job.a: x", "train.toml:10: job.b: x"}));
}

TEST(NearestWord, CountsASwapOfNeighboursAsOneMistake) {
  EXPECT_EQ(nearest_word("mdoel", {"mode", "model"}), "model");
  EXPECT_EQ(nearest_word("dim", {"learning_rate"}), "");
  EXPECT_EQ(nearest_word("learning_rat", {"learning_rate", "learning_rate_power"}),
            "learning_rate");
}

TEST(NearestWord, EndsAMessageWhereThereIsOne) {
  EXPECT_EQ(did_you_mean("mdoel", {"mode", "model"}), "; did you mean \"model\"?");
  EXPECT_EQ(did_you_mean("dim", {"learning_rate"}), "");
}

}  // namespace
}  // namespace keyshard
