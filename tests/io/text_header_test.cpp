// Columns that are found in a header, and messages that lead on where one is not.
#include "io/text_header.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/text_record.hpp"
#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"

namespace keyshard {
namespace {

using testing::make_column;

DataOptions named(std::vector<std::string> names) {
  DataOptions options;
  options.header = true;
  for (const std::string& name : names) {
    options.columns.push_back(
        make_column(name, -1, options.columns.empty() ? ColumnRole::label : ColumnRole::id));
  }
  return options;
}

/// The error of a parser of a text with this header.
std::string complaint_of(const DataOptions& options, const std::string& header) {
  try {
    RecordParser(options, header, "a.csv:1");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    return error.text();
  }
  return "";
}

void expect_hint(const DataOptions& options, const std::string& header, const std::string& hint) {
  const std::string message = complaint_of(options, header);
  EXPECT_NE(message.find(hint), std::string::npos) << header << ": " << message;
}

TEST(TextHeader, ThatHasAUsedColumnTwiceIsRefused) {
  EXPECT_EQ(complaint_of(named({"y", "c"}), "y,c,z,c"),
            "a.csv:1: expected column \"c\" once in the header: found it at the indices 1 and 3; "
            "`index` on the column says which one counts");
  EXPECT_EQ(complaint_of(named({"y", "c"}), "y,c,z,z"), "");
  DataOptions chosen = named({"y", "c"});
  chosen.columns[1].index = 3;
  EXPECT_EQ(complaint_of(chosen, "y,c,z,c"), "");
}

TEST(TextHeader, ThatLacksAColumnIsShownWithTheWayOut) {
  EXPECT_EQ(complaint_of(named({"y", "price"}), "y,user"),
            "a.csv:1: expected a column \"price\" in the header: found 2 other columns, between "
            "separators \",\": \"y\", \"user\"");
  expect_hint(named({"y"}), "\"y\",\"c\"", "; data.quote = true reads names in quotes");
  expect_hint(named({"y"}), "y ,c", "; data.trim = true drops the blanks around names");
  expect_hint(named({"y"}), "y;c", "; data.separator = \";\" would find it");
  expect_hint(named({"c"}), "y\tc", "; data.separator = \"\\t\" would find it");
  expect_hint(named({"c"}), "y|c", "; data.separator = \"|\" would find it");
  expect_hint(named({"user"}), "y,usr", "; did you mean \"usr\"?");
}

TEST(TextHeader, ThatEndsBeforeAnIndexIsRefused) {
  DataOptions options = named({"y", "c"});
  options.columns[1].index = 2;
  EXPECT_EQ(complaint_of(options, "y,c"),
            "a.csv:1: expected a cell with index 2 for column \"c\" in the header: found 2 cells");
}

TEST(TextHeader, OfAnyLengthAndBytesIsShownShort) {
  const std::string message =
      complaint_of(named({"y"}), std::string(10'000, 'h') + "\x01,\xff\x1b[2J");
  EXPECT_LT(message.size(), 300u);
  for (const char c : message) {
    EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
}

TEST(TextHeader, ThatReadsAsARecordIsRefusedWhereColumnsHaveAnIndex) {
  DataOptions options = named({"y", "c"});
  options.columns[0].index = 0;
  options.columns[1].index = 1;
  EXPECT_NE(complaint_of(options, "1,u7"), "");
  EXPECT_NE(complaint_of(options, "-3,u7"), "") << "a label that does not fit is a record, too";
  EXPECT_EQ(complaint_of(options, "label,user"), "");
  EXPECT_EQ(complaint_of(options, "1,c"), "") << "the name of a column shows a header";
  options.columns[0].positive = {"yes"};
  EXPECT_NE(complaint_of(options, "yes,u7"), "");
  EXPECT_EQ(complaint_of(options, "label,user"), "");
}

}  // namespace
}  // namespace keyshard
