// Separator, quotes, blanks, skipped lines and header, guessed from lines of many kinds.
#include "launch/init/text_syntax.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

TextSyntax guess(std::vector<std::string> lines) {
  TextSample sample;
  sample.path = "a.csv";
  sample.lines = std::move(lines);
  return guess_syntax(sample);
}

TEST(TextSyntax, FindsTheSeparatorThatCutsAllLinesAlike) {
  EXPECT_EQ(guess({"1,a b;c,2", "2,d;e f,3"}).separator, ",");
  EXPECT_EQ(guess({"1;a,b;2", "2;d;3"}).separator, ";");
  EXPECT_EQ(guess({"1\ta,b\t2", "2\td\t3"}).separator, "\t");
  EXPECT_EQ(guess({"1|Toy Story (1995)|a,b", "2|Heat|c"}).separator, "|");
  EXPECT_EQ(guess({"1::12::5", "1::8::3"}).separator, "::");
  EXPECT_EQ(guess({"1 12 5", "1 8 3"}).separator, " ");
}

TEST(TextSyntax, FindsQuotesAndBlanks) {
  const TextSyntax quoted = guess({"id,name,n", "1,\"a, b\",2", "2,c,3"});
  EXPECT_TRUE(quoted.quote);
  EXPECT_EQ(quoted.cells, 3u);
  EXPECT_FALSE(guess({"id,name,n", "1,a \"b\" c,2"}).quote);
  EXPECT_TRUE(guess({"id,name,n", "1,\"a, b\" ,2", "2,c,3"}).trim) << "a blank behind a quote";
  const TextSyntax blanks = guess({"39, State-gov, 7", "50, Private, 8"});
  EXPECT_TRUE(blanks.trim);
  EXPECT_EQ(blanks.separator, ",");
}

TEST(TextSyntax, FindsTheHeader) {
  const TextSyntax named = guess({"user,item,click", "7,8,1", "9,10,0"});
  EXPECT_TRUE(named.header);
  EXPECT_EQ(named.names, (std::vector<std::string>{"user", "item", "click"}));
  EXPECT_FALSE(guess({"0\ta\t1", "1\tb\t2"}).header);
  EXPECT_FALSE(guess({"a,x", "b,y", "a,z"}).header) << "\"a\" stands in another line, too";
  EXPECT_TRUE(guess({"name,city", "b,y", "a,z"}).header);
  EXPECT_TRUE(guess({"user,2020,2021,label", "7,1,2,0"}).header);
  EXPECT_TRUE(guess({"user,x,x,label", "7,1,2,0"}).header);
  EXPECT_FALSE(guess({"NA,a", "1,b", "2,c"}).header) << "NA stands for a number";
  EXPECT_FALSE(guess({"7,b,b", "1,c,d"}).header);
}

TEST(TextSyntax, SkipsLinesThatAreNoRecords) {
  EXPECT_EQ(guess({"|1x3 Cross validator", "1,a,2", "2,b,3", "2,b,3"}).skip_lines, 1);
  const TextSyntax both = guess({"# made today", "user,click", "7,1", "8,0"});
  EXPECT_EQ(both.skip_lines, 1);
  EXPECT_TRUE(both.header);
}

TEST(TextSyntax, RefusesLinesOfDifferentLengths) {
  try {
    guess({"0 5 7 9", "1 3", "2 8 8", "3 1 2 5 6"});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    EXPECT_NE(error.text().find("a.csv: expected records with equally many cells"),
              std::string::npos);
    EXPECT_NE(error.text().find("cells 2 in 1 lines, 3 in 1 lines"), std::string::npos)
        << error.text();
  }
}

TEST(TextSyntax, RefusesLinesOfOneCell) {
  try {
    guess({"y", "1", "0"});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(error.text().find("at least 2"), std::string::npos) << error.text();
  }
}

}  // namespace
}  // namespace keyshard
