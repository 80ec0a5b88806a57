// Roles and types of columns, guessed from names and cells.
#include "launch/init/column_guess.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

ColumnFacts facts(const std::string& name, const std::vector<std::string>& cells) {
  std::vector<std::vector<std::string>> records;
  for (const std::string& cell : cells) {
    records.push_back({cell});
  }
  return facts_of({name}, records)[0];
}

/// Cells made by cell(i) for i in [0, n).
template <class Cell>
ColumnFacts made(const std::string& name, int n, const Cell& cell) {
  std::vector<std::string> cells;
  for (int i = 0; i < n; ++i) {
    cells.push_back(cell(i));
  }
  return facts(name, cells);
}

ColumnOptions guess(const ColumnFacts& column) { return guess_feature(column).options; }

TEST(ColumnFacts, CountsWhatCellsAre) {
  const ColumnFacts column = facts("x", {"1", "2.5", "", "?", "1", "-3"});
  EXPECT_EQ(column.cells, 6);
  EXPECT_EQ(column.missing, 2);
  EXPECT_EQ(column.integers, 3);
  EXPECT_EQ(column.numbers, 4);
  EXPECT_EQ(column.distinct(), 3);
  EXPECT_TRUE(column.all_numbers());
  EXPECT_FALSE(column.all_integers());
  EXPECT_EQ(column.sorted, (std::vector<double>{-3, 1, 1, 2.5}));
  EXPECT_EQ(facts("x", {"1", "NA"}).missing, 1) << "beside numbers NA is no value";
  EXPECT_EQ(facts("x", {"DE", "NA"}).missing, 0) << "beside texts it may be Namibia";
  EXPECT_TRUE(facts("x", {"05", "17"}).codes);
  EXPECT_FALSE(facts("x", {"0.5", "0"}).codes);
}

TEST(ColumnGuess, TextsAreIdsAndSoAreCodesOfDigits) {
  const ColumnOptions texts = guess(facts("city", {"Rome", "Oslo", "Rome", ""}));
  EXPECT_EQ(texts.role, ColumnRole::id);
  EXPECT_FALSE(texts.integer);
  EXPECT_TRUE(texts.missing_is_id);
  const ColumnOptions codes = guess(facts("x", {"05db9164", "68fd1e64", "05db9164"}));
  EXPECT_EQ(codes.role, ColumnRole::id);
  EXPECT_FALSE(guess(facts("zip", {"01234", "99501", "01234"})).integer);
}

TEST(ColumnGuess, IntegersThatComeAgainAreIds) {
  const ColumnOptions users =
      guess(made("x", 900, [](int i) { return std::to_string(1 + i % 100); }));
  EXPECT_EQ(users.role, ColumnRole::id);
  EXPECT_TRUE(users.integer);
  // Ids that are numbered by how often they come: many small ones, but no gaps.
  const ColumnOptions ranked = guess(
      made("x", 5000, [](int i) { return std::to_string(i % 3 == 0 ? i / 3 % 500 : i % 20); }));
  EXPECT_EQ(ranked.role, ColumnRole::id);
}

TEST(ColumnGuess, AmountsAreNumbers) {
  const ColumnOptions decimal = guess(facts("x", {"0.5", "1.5", "2.5", "1.5"}));
  EXPECT_EQ(decimal.role, ColumnRole::dense);
  EXPECT_EQ(decimal.transform, DenseTransform::standard);
  EXPECT_EQ(decimal.mean, 1.5);
  EXPECT_DOUBLE_EQ(decimal.stddev, std::sqrt(0.5));
  // Most are 0 and a few are large.
  const ColumnOptions skewed =
      guess(made("x", 1000, [](int i) { return std::to_string(i % 10 == 0 ? i * 37 % 9001 : 0); }));
  EXPECT_EQ(skewed.role, ColumnRole::dense);
  EXPECT_EQ(skewed.transform, DenseTransform::log);
  EXPECT_EQ(guess(made("x", 1000, [](int i) { return std::to_string(i * 7919 % 100'003); })).role,
            ColumnRole::ignore)
      << "a value of its own in every record";
  EXPECT_EQ(guess(facts("age", {"31", "45", "31", "27"})).role, ColumnRole::dense);
  EXPECT_EQ(guess(facts("item_id", {"31", "45", "31", "27"})).role, ColumnRole::id);
}

TEST(ColumnGuess, ListsHavePartsThatComeAgain) {
  const ColumnOptions genres = guess(facts(
      "genres", {"Action|Comedy", "Comedy", "Action|Drama", "Drama|Comedy", "Action", "Drama"}));
  EXPECT_EQ(genres.role, ColumnRole::ids);
  EXPECT_EQ(genres.list_separator, "|");
  EXPECT_EQ(guess(facts("name", {"Toy Story", "Heat", "Last Tango", "Blue Velvet"})).role,
            ColumnRole::id);
}

TEST(ColumnGuess, IgnoresWhatTeachesNothing) {
  EXPECT_EQ(guess(facts("x", {"7", "7", "7"})).role, ColumnRole::ignore);
  EXPECT_EQ(guess(facts("x", {"", "?", ""})).role, ColumnRole::ignore);
  EXPECT_EQ(
      guess(made("time", 300, [](int i) { return std::to_string(874'724'710 + i * 60 % 9000); }))
          .role,
      ColumnRole::ignore);
}

TEST(ColumnGuess, TheLabelIsFoundByNameOrValues) {
  const ColumnFacts user = facts("user", {"5", "106", "7"});
  ColumnFacts click = facts("click", {"0", "1", "0"});
  click.index = 1;
  EXPECT_EQ(find_label({user, click}, ""), 1);
  EXPECT_EQ(find_label({user, click}, "user"), 0);
  try {
    find_label({user, click}, "clik");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(error.text().find("found \"clik\"; did you mean \"click\"?"), std::string::npos);
  }
  ColumnFacts first = facts("c0", {"0", "1", "0"}), last = facts("c1", {"1", "0", "0"});
  last.index = 1;
  EXPECT_EQ(find_label({first, last}, ""), 0) << "without names, the first of two numbers";
  ColumnFacts ratings = facts("c2", {"1", "3", "5"});
  ratings.index = 1;
  EXPECT_EQ(find_label({user, ratings}, ""), 1);
  EXPECT_EQ(find_label({user, facts("x", {"a", "b", "c"})}, ""), -1);
  ColumnFacts counted = facts("click_count", {"4", "1", "9"});
  ColumnFacts label = facts("label", {"0", "1", "0"});
  label.index = 1;
  EXPECT_EQ(find_label({counted, label}, ""), 1) << "the whole name counts first";
}

TEST(ColumnGuess, TheGreaterOfTwoNumbersIsPositive) {
  EXPECT_EQ(guess_label(facts("y", {"-1", "1", "1"})).options.positive,
            std::vector<std::string>{"1"});
  EXPECT_TRUE(guess_label(facts("y", {"0", "1", "1"})).options.positive.empty());
}

TEST(ColumnGuess, TheRarerOfTwoTextsIsPositive) {
  const ColumnGuess guess = guess_label(facts("income", {"<=50K", ">50K", "<=50K"}));
  EXPECT_EQ(guess.options.positive, std::vector<std::string>{">50K"});
  EXPECT_NE(guess.why.find("\">50K\", the rarer one, counts as 1"), std::string::npos) << guess.why;
}

TEST(ColumnGuess, TenthsOfNumbersAreIds) {
  const ColumnGuess guess =
      in_buckets(made("x", 101, [](int i) { return fmt::format("{}.5", i); }));
  EXPECT_EQ(guess.options.buckets,
            (std::vector<double>{10.5, 20.5, 30.5, 40.5, 50.5, 60.5, 70.5, 80.5, 90.5}));
  EXPECT_TRUE(guess.options.is_feature());
}

}  // namespace
}  // namespace keyshard
