// Lines and their cells: every kind of cell, and every kind of bad cell.
#include "io/text_record.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/digest.hpp"
#include "runtime/random.hpp"
#include "tests/io/read_data.hpp"

namespace keyshard::testing {
namespace {

ColumnOptions integer_id(const std::string& name, std::int64_t index) {
  ColumnOptions column = make_column(name, index, ColumnRole::id);
  column.integer = true;
  return column;
}

/// The batch of one line; `problem` gets what is wrong with it.
Batch parsed(const DataOptions& options, std::string_view line, std::string* problem = nullptr) {
  RecordParser parser(options, "", "here:1");
  Batch batch;
  const auto found = parser.parse(line, batch);
  if (problem != nullptr) {
    *problem = found.value_or("");
  } else {
    EXPECT_EQ(found.value_or(""), "");
  }
  return batch;
}

std::string problem_of(const DataOptions& options, std::string_view line) {
  std::string problem;
  parsed(options, line, &problem);
  return problem;
}

DataOptions label_and(std::vector<ColumnOptions> columns) {
  DataOptions options;
  options.columns = {make_column("y", 0, ColumnRole::label)};
  options.columns.insert(options.columns.end(), columns.begin(), columns.end());
  return options;
}

TEST(TextRecord, ReadsIntegersOfTheWholeRangeOf64Bits) {
  const DataOptions options = label_and({integer_id("c", 1)});
  EXPECT_EQ(parsed(options, "1,11255030587488208480").ids[0], 11255030587488208480ull);
  EXPECT_EQ(parsed(options, "1,18446744073709551615").ids[0], ~0ull);
  EXPECT_EQ(parsed(options, "1,-1").ids[0], ~0ull);
  EXPECT_EQ(parsed(options, "1,-9223372036854775808").ids[0], 1ull << 63);
  EXPECT_EQ(parsed(options, "1,0").ids[0], 0ull);
  EXPECT_EQ(problem_of(options, "1,18446744073709551616"),
            "column \"c\": expected an integer of 64 bits: found \"18446744073709551616\"");
  EXPECT_NE(problem_of(options, "1,-9223372036854775809"), "");
  EXPECT_NE(problem_of(options, "1,1.5"), "");
  EXPECT_NE(problem_of(options, "1, 1"), "");
  EXPECT_EQ(parsed(options, "1,+5").ids[0], 5u);
  EXPECT_NE(problem_of(options, "1,+-5"), "");
  EXPECT_NE(problem_of(options, "1,++5"), "");
  EXPECT_NE(problem_of(options, "1,+"), "");
}

TEST(TextRecord, ReadsTheSameSpellingsOfIntegersInAllColumns) {
  DataOptions options = label_and({integer_id("c", 1), make_column("x", 2, ColumnRole::dense)});
  for (const bool trim : {false, true}) {
    options.trim = trim;
    for (const char* cell : {"5", "+5", "-5", "005", " 5", "5 ", "+-5", "--5", "5_0", "0x5"}) {
      std::string as_id, as_number;
      parsed(options, fmt::format("1,{},1", cell), &as_id);
      parsed(options, fmt::format("1,1,{}", cell), &as_number);
      EXPECT_EQ(as_id.empty(), as_number.empty()) << cell << ": " << as_id << as_number;
    }
  }
  EXPECT_EQ(parsed(options, "1, 5 , +5").ids[0], 5u);
}

TEST(TextRecord, KeepsStringsThatLookLikeNumbersApart) {
  const DataOptions options = label_and({make_column("c", 1, ColumnRole::id)});
  for (const std::string cell : {"623049e6", "36103458", "05db9164", "2106e595", "5db9164"}) {
    EXPECT_EQ(parsed(options, "1," + cell).ids[0], hash_bytes(cell, hash_bytes("c")));
  }
}

TEST(TextRecord, HashesAStringPerKeySpace) {
  DataOptions options =
      label_and({make_column("a", 1, ColumnRole::id), make_column("b", 2, ColumnRole::id),
                 make_column("c", 3, ColumnRole::id)});
  options.columns[3].key_space = "a";
  const Batch batch = parsed(options, "1,x,x,x");
  EXPECT_NE(batch.ids[0], batch.ids[1]);
  EXPECT_EQ(batch.ids[0], batch.ids[2]);
}

TEST(TextRecord, MissingIdsAreSkippedOrHaveAnIdOfTheirOwn) {
  DataOptions options = label_and({integer_id("a", 1), integer_id("b", 2)});
  options.missing = {"", "?"};
  options.columns[2].missing_is_id = true;
  const Batch batch = parsed(options, "1,?,");
  EXPECT_EQ(batch.id_offsets, (std::vector<std::int64_t>{0, 0, 1}));
  EXPECT_EQ(batch.ids[0], missing_key("b"));
}

TEST(TextRecord, TransformsNumbers) {
  std::vector<ColumnOptions> columns(3, make_column("x", 1, ColumnRole::dense));
  columns[1].transform = DenseTransform::log;
  columns[2].transform = DenseTransform::standard;
  columns[2].mean = 1;
  columns[2].stddev = 2;
  columns[2].fill = 9;
  const DataOptions options = label_and(columns);
  EXPECT_EQ(parsed(options, "1,7").dense, (std::vector<float>{7, 2.0794415f, 3}));
  EXPECT_EQ(parsed(options, "1,-7").dense, (std::vector<float>{-7, -2.0794415f, -4}));
  EXPECT_EQ(parsed(options, "1,").dense, (std::vector<float>{0, 0, 9}));
  EXPECT_EQ(parsed(options, "1,+1.5e2").dense[0], 150.0f);
  for (const std::string cell : {"nan", "inf", "1e999", "x", "1 ", "+-1", "+", "0x10"}) {
    EXPECT_EQ(problem_of(options, "1," + cell),
              fmt::format("column \"x\": expected a number: found \"{}\"", cell));
  }
}

TEST(TextRecord, PutsNumbersInBuckets) {
  DataOptions options = label_and({make_column("x", 1, ColumnRole::dense)});
  options.columns[1].buckets = {0, 10};
  EXPECT_EQ(parsed(options, "1,-1").ids[0], 0u);
  EXPECT_EQ(parsed(options, "1,0").ids[0], 1u);
  EXPECT_EQ(parsed(options, "1,10").ids[0], 2u);
  EXPECT_EQ(parsed(options, "1,").ids[0], missing_key("x"));
  EXPECT_TRUE(parsed(options, "1,5").dense.empty());
}

TEST(TextRecord, ReadsListsUpToTheirMaximum) {
  DataOptions options = label_and({integer_id("c", 1)});
  options.columns[1].role = ColumnRole::ids;
  options.columns[1].list_separator = "; ";
  options.columns[1].max_length = 2;
  EXPECT_EQ(parsed(options, "1,5; 3; 4").ids, (std::vector<Key>{5, 3}));
  EXPECT_EQ(parsed(options, "1,").id_offsets, (std::vector<std::int64_t>{0, 0}));
  EXPECT_EQ(problem_of(options, "1,5; x"),
            "column \"c\": expected an integer of 64 bits: found \"x\"");
}

TEST(TextRecord, CountsNamedLabelsAsClicks) {
  DataOptions options = label_and({});
  options.separator = ", ";
  options.columns[0].positive = {">50K", ">50K."};
  EXPECT_EQ(parsed(options, ">50K.").labels[0], 1);
  EXPECT_EQ(parsed(options, "<=50K").labels[0], 0);
  EXPECT_EQ(problem_of(options, ""), "column \"y\": expected a label: found \"\"");
  EXPECT_EQ(problem_of(label_and({}), "yes"), "column \"y\": expected a number: found \"yes\"");
}

TEST(TextRecord, ReadsAWeightPerSample) {
  const DataOptions options = label_and({make_column("w", 1, ColumnRole::weight)});
  RecordParser parser(options, "", "here:1");
  Batch batch;
  for (const std::string line : {"1,2.5", "0,0", "1,1e-1"}) {
    EXPECT_EQ(parser.parse(line, batch), std::nullopt);
  }
  EXPECT_EQ(batch.weights, (std::vector<float>{2.5f, 0.0f, 0.1f}));
  EXPECT_EQ(batch.labels, (std::vector<float>{1, 0, 1}));
}

TEST(TextRecord, AWeightThatIsNoneMakesABadLine) {
  const DataOptions options = label_and({make_column("w", 1, ColumnRole::weight)});
  RecordParser parser(options, "", "here:1");
  Batch batch;
  ASSERT_EQ(parser.parse("1,2", batch), std::nullopt);
  EXPECT_EQ(parser.parse("0,-0.5", batch).value_or(""),
            "column \"w\": expected a weight of at least 0: found \"-0.5\"");
  for (const std::string cell : {"heavy", "", "nan", "inf"}) {
    EXPECT_EQ(parser.parse("0," + cell, batch).value_or(""),
              "column \"w\": expected a number: found \"" + cell + "\"");
  }
  EXPECT_EQ(batch.weights, (std::vector<float>{2}));  // a bad line leaves nothing behind
  EXPECT_EQ(batch.labels, (std::vector<float>{1}));
}

TEST(TextRecord, SplitsByAnySeparatorAndKeepsTrailingCells) {
  DataOptions options = label_and({make_column("c", 2, ColumnRole::id)});
  options.separator = "::";
  EXPECT_EQ(parsed(options, "3::a:b::c").ids[0], hash_bytes("c", hash_bytes("c")));
  EXPECT_TRUE(parsed(options, "3::a::").ids.empty());
  EXPECT_EQ(problem_of(options, "3::a"), "expected at least 3 cells: found 2");
  options.separator = "\t";
  options.trim = true;
  EXPECT_EQ(parsed(options, " 3\ta\t c ").ids[0], hash_bytes("c", hash_bytes("c")));
}

TEST(TextRecord, TakesSeparatorsInsideQuotes) {
  DataOptions options = label_and({make_column("c", 1, ColumnRole::id)});
  options.quote = true;
  EXPECT_EQ(parsed(options, "1,\"a, \"\"b\"\"\"").ids[0], hash_bytes("a, \"b\"", hash_bytes("c")));
  EXPECT_EQ(problem_of(options, "1,\"a"),
            "expected a closing quote on the same line: found none; a line break inside quotes is "
            "not read");
}

/// What is wrong with a line of a text whose first line is `first`.
std::string problem_behind(const DataOptions& options, std::string_view first,
                           std::string_view line) {
  RecordParser parser(options, first, "a.csv:1");
  Batch batch;
  return parser.parse(line, batch).value_or("");
}

TEST(TextRecord, HasAsManyCellsAsTheHeaderAndMayHaveAnEmptyOneMore) {
  DataOptions options = label_and({make_column("c", -1, ColumnRole::id)});
  options.header = true;
  options.columns[0].index = -1;
  EXPECT_EQ(problem_behind(options, "y,c,note", "1,x,n"), "");
  EXPECT_EQ(problem_behind(options, "y,c,note", "1,x,n,"), "");
  EXPECT_EQ(problem_behind(options, "y,c,note", "1,x, y,n"),
            "expected 3 cells as in the header, a.csv:1: found 4");
  EXPECT_EQ(problem_behind(options, "y,c,note", "1,x,n,,"),
            "expected 3 cells as in the header, a.csv:1: found 5");
  EXPECT_EQ(problem_behind(options, "y,c,note", "1,x"),
            "expected 3 cells as in the header, a.csv:1: found 2");
  EXPECT_EQ(problem_behind(options, "y,c,note", "1,\"x, y\",n"),
            "expected 3 cells as in the header, a.csv:1: found 4; data.quote = true reads cells in "
            "quotes");
  EXPECT_EQ(
      problem_behind(options, "y,c", "1,x\r0,z"),
      "expected 2 cells as in the header, a.csv:1: found 3; the line holds a carriage return: "
      "lines end with LF or CR LF");
}

TEST(TextRecord, MayLackTheCellThatAHeaderLeavesUnnamedAtItsEnd) {
  DataOptions options = label_and({make_column("c", -1, ColumnRole::id)});
  options.header = true;
  options.columns[0].index = -1;
  EXPECT_EQ(problem_behind(options, "y,c,", "1,x,"), "");
  EXPECT_EQ(problem_behind(options, "y,c,", "1,x"), "");
}

TEST(TextRecord, WithoutAHeaderHasAsManyCellsAsTheFirstOne) {
  const DataOptions options = label_and({make_column("c", 1, ColumnRole::id)});
  EXPECT_EQ(problem_behind(options, "1,x,n", "0,z,m"), "");
  EXPECT_EQ(problem_behind(options, "1,x,n", "0,z,m,"), "");
  EXPECT_EQ(problem_behind(options, "1,x,n", "0,z z,m,m"),
            "expected 3 cells as in the first record, a.csv:1: found 4");
  EXPECT_EQ(problem_behind(options, "1,x,n", "0,z"),
            "expected 3 cells as in the first record, a.csv:1: found 2");
}

TEST(TextRecord, AQuoteInsideACellIsText) {
  DataOptions options = label_and({make_column("c", 1, ColumnRole::id)});
  options.quote = true;
  EXPECT_EQ(parsed(options, "1,5\" screen").ids[0], hash_bytes("5\" screen", hash_bytes("c")));
  EXPECT_EQ(parsed(options, "1,a\"b\"c").ids[0], hash_bytes("a\"b\"c", hash_bytes("c")));
  EXPECT_EQ(problem_of(options, "1,\"say \"hi\"\""),
            "expected a separator behind a closing quote: found text; a quote inside quotes is "
            "written as two");
  options.trim = true;
  EXPECT_EQ(parsed(options, "1, \"a, b\" ").ids[0], hash_bytes("a, b", hash_bytes("c")));
}

TEST(TextRecord, TrimsTheIdsOfListsAsItTrimsCells) {
  DataOptions options = label_and({make_column("c", 1, ColumnRole::ids), integer_id("d", 2)});
  options.columns[1].list_separator = ",";
  options.columns[2].role = ColumnRole::ids;
  options.columns[2].list_separator = "|";
  options.separator = ";";
  options.trim = true;
  const std::uint64_t seed = hash_bytes("c");
  EXPECT_EQ(parsed(options, "1;red, green ,blue; 5 | +6|7").ids,
            (std::vector<Key>{hash_bytes("red", seed), hash_bytes("green", seed),
                              hash_bytes("blue", seed), 5, 6, 7}));
  options.trim = false;
  EXPECT_EQ(parsed(options, "1;red, green;5").ids[1], hash_bytes(" green", seed));
}

TEST(TextRecord, ALabelThatTheLossCannotUseMakesABadLine) {
  DataOptions options = label_and({});
  options.labels = {0, 1, "log loss"};
  for (const char* label : {"0", "1", "0.25", "-0", "+1"}) {
    EXPECT_EQ(problem_of(options, label), "") << label;
  }
  EXPECT_EQ(problem_of(options, "-1"),
            "column \"y\": expected a label from 0 to 1, for log loss needs such: found \"-1\"; "
            "positive = [\"...\"] on the column names the cells that count as 1");
  EXPECT_NE(problem_of(options, "5").find("positive ="), std::string::npos);
  options.columns[0].positive = {"5", "4"};
  EXPECT_EQ(parsed(options, "5").labels[0], 1);
  EXPECT_EQ(parsed(options, "-1").labels[0], 0);
}

TEST(TextRecord, AHeaderThatComesAgainIsNoRecord) {
  DataOptions options = label_and({make_column("c", -1, ColumnRole::id)});
  options.columns[0].index = -1;
  options.columns[0].positive = {"1"};
  options.header = true;
  RecordParser parser(options, "y,c", "here:1");
  Batch batch;
  for (const char* line : {"y,c", "\xEF\xBB\xBFy,c"}) {
    const std::string problem = parser.parse(line, batch).value_or("");
    EXPECT_TRUE(problem.starts_with("expected a record: found the header again")) << problem;
  }
  EXPECT_EQ(parser.parse("y,d", batch), "column \"y\": expected a label: found \"y\"");
  EXPECT_TRUE(batch.labels.empty());
  EXPECT_EQ(parser.parse("1,c", batch), std::nullopt);
  EXPECT_EQ(parser.parse("0,c", batch), std::nullopt);
  EXPECT_EQ(batch.labels, (std::vector<float>{1, 0}));
}

TEST(TextRecord, AByteOrderMarkInsideAFileIsNoPartOfACell) {
  const DataOptions options = label_and({make_column("c", 1, ColumnRole::id)});
  EXPECT_TRUE(problem_of(options,
                         "\xEF\xBB\xBF"
                         "1,c")
                  .starts_with("expected a record: found a byte order"));
  EXPECT_EQ(problem_of(options, "1,\xEF\xBB\xBF"), "");
}

TEST(TextRecord, ACarriageReturnThatNoLineEndHasIsNoPartOfAnId) {
  const DataOptions options = label_and({make_column("c", 1, ColumnRole::id)});
  EXPECT_EQ(problem_of(options, line_at("1,c\r\n", 0).text), "");
  EXPECT_EQ(problem_of(options, line_at("1,c\r\r\n", 0).text),
            "expected a line that ends in LF or CR LF: found two carriage returns at its end");
}

TEST(TextRecord, ALabelThatIsAPositiveOneInOtherDigitsMakesABadLine) {
  DataOptions options = label_and({});
  options.columns[0].positive = {"yes", "1"};
  for (const char* cell : {"1", "yes", "0", "10", "0.0", "2", "no", "", " 1"}) {
    options.missing = {"?"};
    EXPECT_EQ(problem_of(options, cell), "") << cell;
  }
  for (const char* cell : {"1.0", "01", "+1", "1e0"}) {
    EXPECT_EQ(problem_of(options, cell),
              fmt::format("column \"y\": expected \"1\" for the label that counts as 1, or another "
                          "number: found \"{}\"; positive may list both",
                          cell));
  }
  for (const char* text : {"1.0", "01", "+1"}) {
    options.columns[0].positive = {text};
    EXPECT_NE(problem_of(options, "1").find("; positive may list both"), std::string::npos) << text;
    EXPECT_EQ(problem_of(options, "0"), "");
  }
}

TEST(TextRecord, ALabelInWordsShowsTheWayOut) {
  DataOptions options = label_and({});
  EXPECT_EQ(problem_of(options, "True"), "column \"y\": expected a number: found \"True\"");
  options.labels = {0, 1, "log loss"};
  EXPECT_EQ(problem_of(options, "True"),
            "column \"y\": expected a number: found \"True\"; positive = [\"...\"] on the column "
            "names the cells that count as 1");
}

TEST(TextRecord, ShowsAtMostAHundredCharactersOfACell) {
  const DataOptions options = label_and({make_column("x", 1, ColumnRole::dense)});
  EXPECT_EQ(problem_of(options, "1," + std::string(5000, 'a')),
            "column \"x\": expected a number: found \"" + std::string(97, 'a') + "...\"");
  EXPECT_EQ(problem_of(options, "1,\x1b[31m"),
            "column \"x\": expected a number: found \"\\x1b[31m\"");
}

TEST(TextRecord, LeavesTheBatchAsItWasAfterABadLine) {
  const DataOptions options =
      label_and({make_column("x", 1, ColumnRole::dense), integer_id("c", 2), integer_id("d", 3)});
  RecordParser parser(options, "", "");
  Batch batch;
  ASSERT_FALSE(parser.parse("1,2,3,4", batch));
  ASSERT_TRUE(parser.parse("1,2,3,x", batch));
  EXPECT_EQ(batch.labels.size(), 1u);
  EXPECT_EQ(batch.dense.size(), 1u);
  EXPECT_EQ(batch.ids, (std::vector<Key>{3, 4}));
  EXPECT_EQ(batch.id_offsets, (std::vector<std::int64_t>{0, 1, 2}));
}

TEST(TextRecord, RandomLinesNeverBreakTheParser) {
  DataOptions options = label_and({make_column("x", 1, ColumnRole::dense), integer_id("c", 2),
                                   make_column("d", 3, ColumnRole::ids)});
  options.columns[3].list_separator = " ";
  options.quote = true;
  options.trim = true;
  RecordParser parser(options, "", "");
  const std::string alphabet = std::string("0123456789,,,,,,\"\" -+.e\t\r") + '\0' + '\xff';
  Batch batch;
  batch.id_offsets = {0};
  std::int64_t good = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    std::string line;
    const std::uint32_t size = philox(7, i, 0).word[0] % 24;
    for (std::uint32_t k = 0; k < size; ++k) {
      line += alphabet[philox(7, i, k + 1).word[0] % alphabet.size()];
    }
    good += !parser.parse(line, batch);
    ASSERT_EQ(batch.samples(), good);
    ASSERT_EQ(batch.id_offsets.size(), static_cast<std::size_t>(2 * good + 1));
    ASSERT_EQ(batch.dense.size(), static_cast<std::size_t>(good));
  }
  EXPECT_GT(good, 0);
}

}  // namespace
}  // namespace keyshard::testing
